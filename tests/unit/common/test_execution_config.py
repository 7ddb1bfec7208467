"""Execution settings of a program."""

from __future__ import annotations

import pytest

from millpond.common.configuration import Configuration
from millpond.common.execution_config import ExecutionConfig
from millpond.common.restart_strategy import FallbackRestart, RestartStrategies
from millpond.errors import ConfigurationError


def test_defaults_are_those_of_flink() -> None:
    config = ExecutionConfig()
    assert config.get_parallelism() == 1
    assert config.get_max_parallelism() == -1
    assert config.get_auto_watermark_interval() == 200
    assert config.has_auto_generated_uids_enabled()
    assert not config.is_object_reuse_enabled()
    assert not config.is_use_snapshot_compression()
    assert config.get_global_job_parameters() == {}
    assert config.is_closure_cleaner_enabled()
    assert not config.has_generic_types_disabled()
    assert config.configuration.to_dict() == {}


def test_setters_are_recorded_and_win_over_what_is_inherited() -> None:
    inherited = Configuration.from_dict(
        {"parallelism.default": "4", "pipeline.object-reuse": "true"}
    )
    config = ExecutionConfig(inherited=inherited)
    assert config.get_parallelism() == 4
    assert config.set_parallelism(2).get_parallelism() == 2
    assert config.is_object_reuse_enabled()
    assert config.configuration.to_dict() == {"parallelism.default": "2"}
    assert config.set_parallelism(ExecutionConfig.PARALLELISM_UNKNOWN).get_parallelism() == 2
    assert config.set_parallelism(ExecutionConfig.PARALLELISM_DEFAULT).get_parallelism() == 4


@pytest.mark.parametrize("number", [0, -3, 2**31])
def test_an_impossible_parallelism_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError):
        ExecutionConfig().set_parallelism(number)


@pytest.mark.parametrize("number", [0, 32769])
def test_an_impossible_maximum_parallelism_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError, match="from 1 to 32768"):
        ExecutionConfig().set_max_parallelism(number)


def test_switches() -> None:
    config = ExecutionConfig()
    config.disable_auto_generated_uids()
    config.enable_object_reuse()
    config.enable_force_kryo()
    config.enable_force_avro()
    config.disable_generic_types()
    config.disable_closure_cleaner()
    assert not config.has_auto_generated_uids_enabled()
    assert config.is_object_reuse_enabled()
    assert config.is_force_kryo_enabled()
    assert config.is_force_avro_enabled()
    assert config.has_generic_types_disabled()
    assert not config.is_closure_cleaner_enabled()
    config.enable_auto_generated_uids()
    config.disable_object_reuse()
    config.disable_force_kryo()
    config.disable_force_avro()
    config.enable_generic_types()
    config.enable_closure_cleaner()
    assert config.has_auto_generated_uids_enabled()
    assert not config.is_object_reuse_enabled()
    assert not config.is_force_kryo_enabled()
    assert not config.is_force_avro_enabled()
    assert not config.has_generic_types_disabled()
    assert config.is_closure_cleaner_enabled()


def test_times_and_parameters() -> None:
    config = ExecutionConfig()
    config.set_auto_watermark_interval(50).set_latency_tracking_interval(5)
    config.set_task_cancellation_interval(7).set_task_cancellation_timeout(8)
    config.set_global_job_parameters({"threshold": 3, "name": "a:b,c"})
    config.set_use_snapshot_compression(True)
    assert config.get_auto_watermark_interval() == 50
    assert config.get_latency_tracking_interval() == 5
    assert config.get_task_cancellation_interval() == 7
    assert config.get_task_cancellation_timeout() == 8
    assert config.get_global_job_parameters() == {"threshold": "3", "name": "a:b,c"}
    assert config.is_use_snapshot_compression()
    with pytest.raises(ConfigurationError):
        config.set_auto_watermark_interval(-1)


def test_restart_strategy() -> None:
    config = ExecutionConfig()
    assert config.get_restart_strategy() == FallbackRestart()
    strategy = RestartStrategies.fixed_delay_restart(3, 1000)
    assert config.set_restart_strategy(strategy).get_restart_strategy() is strategy


@pytest.mark.parametrize(
    "arguments", [(-1, 1000), (1, -1)], ids=["negative attempts", "negative delay"]
)
def test_a_fixed_delay_that_cannot_be_is_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="must be at least 0"):
        RestartStrategies.fixed_delay_restart(*arguments)


def test_the_other_strategies_check_their_numbers_too() -> None:
    assert RestartStrategies.failure_rate_restart(3, 60_000, 10).max_failures == 3
    with pytest.raises(ConfigurationError, match="interval"):
        RestartStrategies.failure_rate_restart(3, 0, 10)
    with pytest.raises(ConfigurationError, match="jitter"):
        RestartStrategies.exponential_delay_restart(1, 2, 1.5, 1, 1.5)
    with pytest.raises(ConfigurationError, match="longest delay"):
        RestartStrategies.exponential_delay_restart(2, 1, 1.5, 1, 0.1)


def test_descriptions_name_the_numbers() -> None:
    assert "1000 ms" in RestartStrategies.fixed_delay_restart(3, 1000).get_description()
    assert "60000 ms" in RestartStrategies.failure_rate_restart(3, 60_000, 10).get_description()
    assert RestartStrategies.no_restart().get_description() == "Restart deactivated."
