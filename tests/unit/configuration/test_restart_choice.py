"""Restart strategies of a program, as options."""

from __future__ import annotations

import pytest

from millpond.common.restart_strategy import RestartStrategies, RestartStrategyConfiguration
from millpond.configuration.restart_choice import restart_strategy_options


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        (RestartStrategies.fall_back_restart(), {}),
        (RestartStrategies.no_restart(), {"restart-strategy.type": "none"}),
        (
            RestartStrategies.fixed_delay_restart(3, 500),
            {
                "restart-strategy.type": "fixed-delay",
                "restart-strategy.fixed-delay.attempts": "3",
                "restart-strategy.fixed-delay.delay": "500 ms",
            },
        ),
        (
            RestartStrategies.failure_rate_restart(3, 60_000, 0),
            {
                "restart-strategy.type": "failure-rate",
                "restart-strategy.failure-rate.max-failures-per-interval": "3",
                "restart-strategy.failure-rate.failure-rate-interval": "1 min",
                "restart-strategy.failure-rate.delay": "0 s",
            },
        ),
        (
            RestartStrategies.exponential_delay_restart(10, 1000, 2.0, 60_000, 0.2),
            {
                "restart-strategy.type": "exponential-delay",
                "restart-strategy.exponential-delay.initial-backoff": "10 ms",
                "restart-strategy.exponential-delay.max-backoff": "1 s",
                "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
                "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
                "restart-strategy.exponential-delay.jitter-factor": "0.2",
                "restart-strategy.exponential-delay.attempts-before-reset-backoff": "2147483647",
            },
        ),
    ],
)
def test_every_strategy_has_options_that_mean_the_same(
    strategy: RestartStrategyConfiguration, options: dict[str, str]
) -> None:
    assert restart_strategy_options(strategy).to_dict() == options
