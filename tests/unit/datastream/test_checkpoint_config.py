"""Checkpointing settings of a program."""

from __future__ import annotations

from datetime import timedelta

import pytest

from millpond.common.configuration import Configuration
from millpond.common.time import Duration
from millpond.datastream.checkpoint_config import CheckpointConfig, ExternalizedCheckpointCleanup
from millpond.datastream.checkpoint_storage import (
    FileSystemCheckpointStorage,
    JobManagerCheckpointStorage,
)
from millpond.datastream.checkpointing_mode import CheckpointingMode
from millpond.datastream.externalized_checkpoint_retention import ExternalizedCheckpointRetention
from millpond.errors import ConfigurationError


def test_defaults_are_those_of_flink() -> None:
    config = CheckpointConfig()
    assert not config.is_checkpointing_enabled()
    assert config.get_checkpoint_interval() == -1
    assert config.get_checkpointing_mode() is CheckpointConfig.DEFAULT_MODE
    assert config.get_checkpoint_timeout() == CheckpointConfig.DEFAULT_TIMEOUT == 600_000
    assert config.get_min_pause_between_checkpoints() == 0
    assert config.get_max_concurrent_checkpoints() == 1
    assert config.get_tolerable_checkpoint_failure_number() == 0
    assert config.is_fail_on_checkpointing_errors()
    assert not config.is_externalized_checkpoints_enabled()
    assert config.get_externalized_checkpoint_cleanup() is None
    assert not config.is_unaligned_checkpoints_enabled()
    assert config.get_aligned_checkpoint_timeout() == Duration.of_millis(0)
    assert not config.is_force_unaligned_checkpoints()
    assert not config.is_prefer_checkpoint_for_recovery()
    assert config.get_checkpoint_storage() is None
    assert config.get_max_retained_checkpoints() == 1
    assert config.configuration.to_dict() == {}


def test_setters_are_recorded() -> None:
    config = CheckpointConfig()
    config.set_checkpoint_interval(1000).set_checkpoint_timeout(5000)
    config.set_min_pause_between_checkpoints(500).set_max_concurrent_checkpoints(2)
    config.set_checkpointing_mode(CheckpointingMode.AT_LEAST_ONCE)
    config.set_tolerable_checkpoint_failure_number(3)
    config.enable_externalized_checkpoints(ExternalizedCheckpointCleanup.RETAIN_ON_CANCELLATION)
    assert config.is_checkpointing_enabled()
    assert config.get_checkpointing_consistency_mode() is CheckpointingMode.AT_LEAST_ONCE
    assert (
        config.get_externalized_checkpoint_cleanup()
        is ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION
    )
    assert config.configuration.to_dict() == {
        "execution.checkpointing.interval": "1 s",
        "execution.checkpointing.timeout": "5 s",
        "execution.checkpointing.min-pause": "500 ms",
        "execution.checkpointing.max-concurrent-checkpoints": "2",
        "execution.checkpointing.mode": "AT_LEAST_ONCE",
        "execution.checkpointing.tolerable-failed-checkpoints": "3",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    }


def test_code_wins_over_what_is_inherited() -> None:
    inherited = Configuration.from_dict(
        {
            "execution.checkpointing.interval": "10 s",
            "execution.checkpointing.unaligned": "true",
        }
    )
    config = CheckpointConfig(inherited=inherited)
    assert config.get_checkpoint_interval() == 10_000
    assert config.is_unaligned_checkpoints_enabled()
    config.set_checkpoint_interval(20)
    config.disable_unaligned_checkpoints()
    assert config.get_checkpoint_interval() == 20
    assert not config.is_unaligned_checkpoints_enabled()


def test_configure_replaces_what_a_configuration_sets_and_nothing_else() -> None:
    config = CheckpointConfig().set_checkpoint_interval(20).set_checkpoint_timeout(30)
    config.configure(
        Configuration.from_dict({"execution.checkpointing.interval": "1 min", "other": "x"})
    )
    assert config.get_checkpoint_interval() == 60_000
    assert config.get_checkpoint_timeout() == 30
    assert not config.configuration.contains_key("other")


@pytest.mark.parametrize(
    ("setter", "value"),
    [
        ("set_checkpoint_interval", 9),
        ("set_checkpoint_timeout", 9),
        ("set_min_pause_between_checkpoints", -1),
        ("set_max_concurrent_checkpoints", 0),
        ("set_tolerable_checkpoint_failure_number", -1),
        ("set_checkpointing_mode", "exactly"),
        ("set_externalized_checkpoint_retention", None),
        ("set_alignment_timeout", -1),
        ("set_checkpoint_storage", "file:///c"),
        ("set_checkpoint_storage_dir", "/"),
        ("enable_unaligned_checkpoints", "maybe"),
    ],
)
def test_values_out_of_range_are_refused(setter: str, value: object) -> None:
    config = CheckpointConfig()
    with pytest.raises(ConfigurationError):
        getattr(config, setter)(value)
    assert config.configuration.to_dict() == {}


def test_failing_on_errors_is_a_number_of_tolerable_failures() -> None:
    config = CheckpointConfig().set_fail_on_checkpointing_errors(False)
    assert config.get_tolerable_checkpoint_failure_number() == 2**31 - 1
    assert not config.is_fail_on_checkpointing_errors()
    assert config.set_fail_on_checkpointing_errors(True).is_fail_on_checkpointing_errors()


@pytest.mark.parametrize("timeout", [timedelta(seconds=3), Duration.of_seconds(3), 3000, "3 s"])
def test_the_alignment_timeout_takes_any_duration(timeout: object) -> None:
    config = CheckpointConfig().set_alignment_timeout(timeout)
    assert config.get_alignment_timeout() == Duration.of_seconds(3)


def test_storage() -> None:
    config = CheckpointConfig()
    storage = JobManagerCheckpointStorage()
    assert config.set_checkpoint_storage(storage).get_checkpoint_storage() is storage
    by_directory = config.set_checkpoint_storage_dir("file:///c").get_checkpoint_storage()
    assert isinstance(by_directory, FileSystemCheckpointStorage)
    assert by_directory.get_checkpoint_path() == "file:///c"


def test_the_other_switches() -> None:
    config = CheckpointConfig()
    config.enable_unaligned_checkpoints().set_force_unaligned_checkpoints()
    config.set_prefer_checkpoint_for_recovery(True)
    config.set_externalized_checkpoint_cleanup(
        ExternalizedCheckpointRetention.DELETE_ON_CANCELLATION
    )
    config.set_checkpointing_consistency_mode(CheckpointingMode.EXACTLY_ONCE)
    assert config.is_unaligned_checkpoints_enabled()
    assert config.is_force_unaligned_checkpoints()
    assert config.is_prefer_checkpoint_for_recovery()
    assert config.is_externalized_checkpoints_enabled()
