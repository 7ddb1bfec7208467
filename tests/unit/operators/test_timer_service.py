"""Order, identity and drains of timers."""

from __future__ import annotations

import pytest

from millpond.clock import ManualClock
from millpond.common.time import Time
from millpond.datastream.window import GlobalWindows
from millpond.errors import InvalidProgramError, NoCurrentKeyError
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.operators.timer_service import InternalTimerService, KeyedTimerService
from millpond.state.contract.keyed_backend import NO_KEY


class Service:
    """A timer service whose timers are recorded when they fire."""

    def __init__(self, windows):
        self.backend = windows(assigner=GlobalWindows.create(), reduce=max).backend
        self.clock = ManualClock(1000)
        self.internal = InternalTimerService(self.backend, self.clock, service="tested")
        self.timers = KeyedTimerService(self.internal)
        self.fired = []
        self.on_fire = lambda timestamp: None

    def fire(self, timestamp, namespace):
        assert namespace is None
        self.fired.append((timestamp, self.backend.current_key))
        self.on_fire(timestamp)

    def take(self):
        fired, self.fired = self.fired, []
        return fired


@pytest.fixture
def service(windows):
    return Service(windows)


def test_event_timers_fire_in_order_when_the_watermark_reaches_them(service):
    for key, timestamp in (("a", 30), ("b", 10), ("a", 10), ("a", 20), ("a", -5)):
        service.backend.current_key = key
        service.timers.register_event_time_timer(timestamp)
    service.internal.advance_watermark(9, service.fire)
    assert service.take() == [(-5, "a")]
    service.internal.advance_watermark(20, service.fire)
    fired = service.take()
    assert sorted(fired) == [(10, "a"), (10, "b"), (20, "a")]
    assert [timestamp for timestamp, _ in fired] == [10, 10, 20]
    assert service.backend.current_key is NO_KEY
    service.internal.advance_watermark(MAX_WATERMARK, service.fire)
    assert service.take() == [(30, "a")]


def test_a_timer_is_known_by_its_time_and_key(service):
    service.backend.current_key = "a"
    for _ in range(3):
        service.timers.register_event_time_timer(10)
    service.timers.register_processing_time_timer(10)
    service.timers.delete_event_time_timer(11)
    service.backend.current_key = "b"
    service.timers.delete_event_time_timer(10)
    service.internal.advance_watermark(10, service.fire)
    assert service.take() == [(10, "a")]
    service.internal.advance_processing_time(10, service.fire)
    assert service.take() == [(10, "a")]


def test_deleted_timers_do_not_fire(service):
    service.backend.current_key = "a"
    service.timers.register_event_time_timer(10)
    service.timers.register_processing_time_timer(20)
    service.timers.delete_event_time_timer(10)
    service.timers.delete_processing_time_timer(20)
    service.internal.advance_watermark(MAX_WATERMARK, service.fire)
    service.internal.advance_processing_time(MAX_WATERMARK, service.fire)
    assert service.take() == []
    assert service.internal.next_processing_time() is None


def test_timers_set_while_firing_fire_in_the_same_round_if_due(service):
    def chain(timestamp):
        assert service.timers.current_watermark() == 50
        if timestamp < 40:
            service.timers.register_event_time_timer(timestamp + 10)
            service.timers.register_event_time_timer(timestamp + 100)

    service.on_fire = chain
    service.backend.current_key = "a"
    service.timers.register_event_time_timer(10)
    service.internal.advance_watermark(50, service.fire)
    assert service.take() == [(10, "a"), (20, "a"), (30, "a"), (40, "a")]


def test_an_event_timer_in_the_past_fires_at_the_next_advance(service):
    service.internal.advance_watermark(100, service.fire)
    service.backend.current_key = "a"
    service.timers.register_event_time_timer(7)
    assert service.take() == []
    service.internal.advance_watermark(101, service.fire)
    assert service.take() == [(7, "a")]


def test_processing_timers(service):
    assert service.timers.current_processing_time() == 1000
    service.backend.current_key = "a"
    service.timers.register_processing_time_timer(1500)
    service.timers.register_processing_time_timer(1200)
    assert service.internal.next_processing_time() == 1200
    service.internal.advance_processing_time(1499, service.fire)
    assert service.take() == [(1200, "a")]
    assert service.internal.next_processing_time() == 1500


def test_watermark_before_the_first_one(service):
    assert service.timers.current_watermark() == MIN_WATERMARK


@pytest.mark.parametrize("call", ["register", "delete"])
@pytest.mark.parametrize("domain", ["event_time", "processing_time"])
def test_timers_need_a_key(service, call, domain):
    with pytest.raises(NoCurrentKeyError, match="outside the processing"):
        getattr(service.timers, f"{call}_{domain}_timer")(Time.seconds(1).to_milliseconds())


@pytest.mark.parametrize("time", [1.5, None, "12", 1 << 63, -(1 << 63) - 1])
@pytest.mark.parametrize("call", ["register", "delete"])
@pytest.mark.parametrize("domain", ["event_time", "processing_time"])
def test_times_that_are_no_milliseconds_are_refused_with_the_key(service, call, domain, time):
    service.backend.current_key = "a"
    with pytest.raises(InvalidProgramError, match="no whole number of milliseconds") as caught:
        getattr(service.timers, f"{call}_{domain}_timer")(time)
    assert caught.value.context["key"] == "'a'"
    assert caught.value.hint == (
        "Use int(...), and ctx.timestamp() only where records have timestamps."
    )


def test_whole_numbers_of_other_types_are_times(service):
    class Int64:
        def __index__(self):
            return 7

    service.backend.current_key = "a"
    service.timers.register_event_time_timer(Int64())
    service.internal.advance_watermark(7, service.fire)
    assert service.take() == [(7, "a")]
