"""Restart strategies: how often, and after which delays."""

from __future__ import annotations

from itertools import pairwise

import pytest

from millpond.common.job_status import JobStatus
from millpond.datastream.connectors.collection import CollectionSource

STRATEGY = "restart-strategy."


def fail(value):
    raise ValueError(value)


def describe_failing(env, ledger):
    env.from_source(CollectionSource([1]), None, "numbers").map(fail)


class Gaps:
    """The times in ms between one restart and the next."""

    def __init__(self, run):
        times = [time for time, _ in run.recorder.restarts]
        self.restarts = len(times)
        self.delays = [later - earlier for earlier, later in pairwise(times)]


@pytest.fixture
def gaps(make_mill):
    def run(spelling=STRATEGY + "type", **options):
        settings = {
            STRATEGY + key.replace("_", "-").replace("--", "."): value
            for key, value in options.items()
            if key != "type"
        }
        settings[spelling] = options["type"]
        outcome = make_mill().run(
            {**settings, "execution.checkpointing.interval": None},
            describe=describe_failing,
            check=False,
        )
        assert outcome.outcome.status is JobStatus.FAILED
        return Gaps(outcome)

    return run


def about(delay):
    """The clock moves with every look at it, so an attempt itself takes some ms."""
    return pytest.approx(delay + 20, abs=30)


@pytest.mark.option(STRATEGY + "type")
@pytest.mark.parametrize("spelling", ["restart-strategy", "restart-strategy.type"])
def test_the_strategy(gaps, spelling):
    assert gaps(spelling, type="none").restarts == 0
    assert gaps(spelling, type="fixed-delay").restarts == 1
    assert gaps(spelling, type="fixeddelay").restarts == 1
    assert gaps(spelling, type="failure-rate").restarts == 1
    assert (
        gaps(
            spelling, type="exponential-delay", exponential_delay__attempts_before_reset_backoff="4"
        ).restarts
        == 4
    )


@pytest.mark.option(STRATEGY + "fixed-delay.attempts")
@pytest.mark.option(STRATEGY + "fixed-delay.delay")
def test_fixed_delay(gaps):
    found = gaps(type="fixed-delay", fixed_delay__attempts="4", fixed_delay__delay="500 ms")
    assert found.restarts == 4
    assert found.delays == [about(500)] * 3


@pytest.mark.option(STRATEGY + "failure-rate.max-failures-per-interval")
@pytest.mark.option(STRATEGY + "failure-rate.failure-rate-interval")
@pytest.mark.option(STRATEGY + "failure-rate.delay")
def test_failure_rate(gaps):
    options = {
        "type": "failure-rate",
        "failure_rate__max_failures_per_interval": "3",
        "failure_rate__failure_rate_interval": "10 s",
        "failure_rate__delay": "700 ms",
    }
    found = gaps(**options)
    assert found.restarts == 3
    assert found.delays == [about(700)] * 2


def test_failures_outside_of_the_interval_do_not_count(make_mill):
    """With an interval shorter than the delay the rate is never reached; cancelled at last."""
    options = {
        STRATEGY + "type": "failure-rate",
        STRATEGY + "failure-rate.max-failures-per-interval": "3",
        STRATEGY + "failure-rate.failure-rate-interval": "1 s",
        STRATEGY + "failure-rate.delay": "700 ms",
        "execution.checkpointing.interval": None,
    }
    run = make_mill().run(
        options,
        describe=describe_failing,
        act=lambda step, manager: manager.cancel() if step == 20 else None,
        check=False,
    )
    assert run.outcome.status is JobStatus.CANCELED
    assert len(run.recorder.restarts) > 3


@pytest.mark.option(STRATEGY + "exponential-delay.initial-backoff")
@pytest.mark.option(STRATEGY + "exponential-delay.max-backoff")
@pytest.mark.option(STRATEGY + "exponential-delay.backoff-multiplier")
@pytest.mark.option(STRATEGY + "exponential-delay.attempts-before-reset-backoff")
@pytest.mark.option(STRATEGY + "exponential-delay.jitter-factor")
def test_exponential_delay(gaps):
    options = {
        "type": "exponential-delay",
        "exponential_delay__initial_backoff": "200 ms",
        "exponential_delay__max_backoff": "1500 ms",
        "exponential_delay__backoff_multiplier": "2.0",
        "exponential_delay__jitter_factor": "0.0",
        "exponential_delay__attempts_before_reset_backoff": "5",
    }
    found = gaps(**options)
    assert found.restarts == 5
    assert found.delays == [about(200), about(400), about(800), about(1500)]
    jittered = gaps(**{**options, "exponential_delay__jitter_factor": "0.5"})
    assert jittered.delays != found.delays
    assert all(100 <= delay <= 2300 for delay in jittered.delays)


def describe_failing_after(calm_ms):
    """Fails at the first record of an attempt, once the clock has moved on by so much."""

    def describe(env, ledger):
        numbers = env.from_source(CollectionSource(list(range(400))), None, "numbers")
        numbers.map(lambda value: 1 // (calm_ms - value))

    return describe


@pytest.mark.option(STRATEGY + "exponential-delay.reset-backoff-threshold")
def test_a_calm_time_resets_the_delay(make_mill):
    def delays(threshold):
        run = make_mill().run(
            {
                STRATEGY + "type": "exponential-delay",
                STRATEGY + "exponential-delay.initial-backoff": "200 ms",
                STRATEGY + "exponential-delay.backoff-multiplier": "3.0",
                STRATEGY + "exponential-delay.jitter-factor": "0.0",
                STRATEGY + "exponential-delay.reset-backoff-threshold": threshold,
                "execution.checkpointing.interval": None,
                "millpond.batch-size": "1",
            },
            # Each attempt lasts longer than the shorter threshold.
            describe=describe_failing_after(300),
            act=lambda step, manager: manager.cancel() if step == 1500 else None,
            check=False,
        )
        gaps = Gaps(run).delays
        assert len(gaps) >= 2
        return gaps

    calm = delays("10 ms")
    grown = delays("1 h")
    assert max(calm) - min(calm) < 50
    assert grown[1] - grown[0] > 300
