"""Which handler signals have while a job runs, after the first one, and afterwards."""

from __future__ import annotations

import signal

import pytest

from millpond.engines.termination import Termination

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Manager:
    suspended = 0

    def suspend(self):
        self.suspended += 1


@pytest.fixture(autouse=True)
def handlers_of_a_program():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_is_the_operating_systems(number):
    manager = Manager()
    with Termination(manager) as termination:
        signal.raise_signal(number)
        assert termination.received is number
        assert manager.suspended == 1
        assert {signal.getsignal(each) for each in SIGNALS} == {signal.SIG_DFL}


def test_a_job_in_a_thread_goes_on_listening():
    # When it is over, its thread sends the signal to the main thread, which must not be killed.
    first, second = Manager(), Manager()
    with Termination(first), Termination(second, in_thread=True):
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert (first.suspended, second.suspended) == (1, 1)


def test_a_program_may_take_over_after_the_first_signal():
    def own(number, frame):
        pass

    with Termination(Manager()):
        signal.raise_signal(signal.SIGTERM)
        with Termination(Manager()):
            assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    with Termination(Manager()):
        signal.signal(signal.SIGTERM, own)
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) is own
    assert signal.getsignal(signal.SIGTERM) is own
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
