from __future__ import annotations

from random import Random

import pytest

from millpond.common.configuration import Configuration
from millpond.runtime.restart_strategy import restart_strategy


def strategy(settings=(), **more):
    configuration = Configuration()
    for key, value in {**dict(settings), **more}.items():
        configuration.set_string(key.replace("__", "-").replace("_", "."), value)
    return restart_strategy(configuration, Random(1))


def delays(one, times, *, progressed=False):
    return [one.after_failure(now, progressed=progressed) for now in times]


@pytest.mark.parametrize("settings", [{}, {"restart__strategy_type": "none"}])
def test_without_checkpoints_or_on_request_there_is_no_restart(settings):
    assert delays(strategy(**settings), [0]) == [None]


@pytest.mark.parametrize("name", ["off", "disable", "NONE"])
def test_none_has_several_names_and_beats_checkpointing(name):
    one = strategy(restart__strategy_type=name, execution_checkpointing_interval="1 s")
    assert delays(one, [0]) == [None]


@pytest.mark.parametrize("name", ["fixed-delay", "fixeddelay", "Fixed-Delay"])
def test_fixed_delay_allows_so_many_attempts(name):
    one = strategy(
        {
            "restart__strategy_type": name,
            "restart__strategy_fixed__delay_attempts": "2",
            "restart__strategy_fixed__delay_delay": "3 s",
        }
    )
    assert delays(one, [0, 1, 2]) == [3000, 3000, None]


def failure_rate():
    return strategy(
        {
            "restart__strategy_type": "failure-rate",
            "restart__strategy_failure__rate_max__failures__per__interval": "2",
            "restart__strategy_failure__rate_failure__rate__interval": "10 s",
            "restart__strategy_failure__rate_delay": "1 s",
        }
    )


def test_failure_rate_gives_up_at_one_failure_too_many_within_the_interval():
    assert delays(failure_rate(), [0, 5000, 9999]) == [1000, 1000, None]


def test_failure_rate_forgets_old_failures():
    assert delays(failure_rate(), [0, 5000, 10000, 15001]) == [1000] * 4


def exponential(**more):
    return strategy(
        {
            "restart__strategy_type": "exponential-delay",
            "restart__strategy_exponential__delay_initial__backoff": "1 s",
            "restart__strategy_exponential__delay_max__backoff": "5 s",
            "restart__strategy_exponential__delay_backoff__multiplier": "2.0",
            "restart__strategy_exponential__delay_jitter__factor": "0.0",
            "restart__strategy_exponential__delay_reset__backoff__threshold": "1 min",
            **more,
        }
    )


def test_exponential_delay_grows_to_its_bound():
    assert delays(exponential(), range(5)) == [1000, 2000, 4000, 5000, 5000]


def test_exponential_delay_starts_anew_after_a_calm_time():
    one = exponential()
    assert delays(one, [0, 1, 70_000, 70_001]) == [1000, 2000, 1000, 2000]


def test_jitter_is_bounded():
    one = exponential(restart__strategy_exponential__delay_jitter__factor="0.1")
    first = one.after_failure(0, progressed=False)
    assert 900 <= first <= 1100


def test_with_checkpoints_the_default_goes_on_while_checkpoints_complete():
    one = strategy(execution_checkpointing_interval="1 s")
    assert None not in delays(one, range(0, 10**9, 10**7), progressed=True)
    one = strategy(execution_checkpointing_interval="1 s")
    assert [delay is None for delay in delays(one, range(4))] == [False, False, False, True]
