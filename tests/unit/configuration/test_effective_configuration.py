"""Sources of configuration, their order, and what is said about them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.effective_configuration import (
    EffectiveConfiguration,
    load_configuration,
    log_notices,
)
from millpond.configuration.entry import Severity
from millpond.configuration.line_format import parse_lines
from millpond.configuration.options.memory import CONSUMER_WEIGHTS
from millpond.configuration.options.state_backend import (
    CHECKPOINT_DIRECTORY,
    NUM_RETAINED_CHECKPOINTS,
    STATE_BACKEND,
)
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def _of_file(text: str) -> EffectiveConfiguration:
    return EffectiveConfiguration([parse_lines(text, "conf/flink-conf.yaml")])


def _messages(configuration: EffectiveConfiguration, severity: Severity) -> list[str]:
    return [str(notice) for notice in configuration.notices if notice.severity is severity]


@pytest.fixture
def directory(tmp_path: Path) -> str:
    (tmp_path / "config.yaml").write_text(
        "state.backend.type: hashmap\nexecution.checkpointing.num-retained: 2\n"
    )
    return str(tmp_path)


def test_code_then_command_line_then_job_then_environment_then_file_then_default(
    directory: str,
) -> None:
    def load(
        definitions: tuple[str, ...] = (),
        job: Configuration | None = None,
        environment: dict[str, str] | None = None,
    ) -> EffectiveConfiguration:
        return load_configuration(directory, definitions, job, environment or {})

    key = "state.checkpoints.num-retained"
    variables = {"MILLPOND_STATE_CHECKPOINTS_NUM_RETAINED": "3"}
    job = Configuration.from_dict({key: "4"})
    definitions = (f"{key}=5",)
    code = Configuration().set(NUM_RETAINED_CHECKPOINTS, 6)
    for expected, origin, configuration in (
        (1, "default", load_configuration(environment={})),
        (2, f"{directory}/config.yaml:2", load()),
        (
            3,
            "environment variable MILLPOND_STATE_CHECKPOINTS_NUM_RETAINED",
            load(environment=variables),
        ),
        (4, "job configuration", load((), job, variables)),
        (5, f"command line -D {key}", load(definitions, job, variables)),
        (6, "code", load(definitions, job, variables).with_code(code)),
    ):
        assert configuration.to_configuration().get(NUM_RETAINED_CHECKPOINTS) == expected
        assert str(configuration.origin_of(NUM_RETAINED_CHECKPOINTS)) == origin


def test_a_higher_source_wins_whatever_spelling_it_uses(directory: str) -> None:
    configuration = load_configuration(directory, ["state.backend=rocksdb"], environment={})
    assert configuration.to_configuration().to_dict() == {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.num-retained": "2",
    }


def test_a_whole_map_hides_the_entries_of_a_lower_source() -> None:
    key = CONSUMER_WEIGHTS.key
    lower = parse_lines(f"{key}.PYTHON: 10\n{key}.OPERATOR: 5", "f")
    higher = parse_lines(f"{key}: STATE_BACKEND:1", "g")
    configuration = EffectiveConfiguration([lower, higher])
    assert configuration.to_configuration().get(CONSUMER_WEIGHTS) == {"STATE_BACKEND": "1"}
    assert str(configuration.origin_of(CONSUMER_WEIGHTS)) == "g:1"
    flipped = EffectiveConfiguration([higher, lower])
    assert flipped.to_configuration().get(CONSUMER_WEIGHTS) == {"PYTHON": "10", "OPERATOR": "5"}


def test_a_wrong_entry_of_a_map_is_refused_with_file_and_line() -> None:
    with pytest.raises(ConfigurationError) as error:
        _of_file(f"{CONSUMER_WEIGHTS.key}.PYTHON: many")
    assert error.value.context["origin"] == "conf/flink-conf.yaml:1"


def test_an_older_name_works_and_is_named_with_the_newer() -> None:
    configuration = _of_file("state.checkpoints.dir: file:///c")
    assert configuration.to_configuration().get(CHECKPOINT_DIRECTORY) == "file:///c"
    assert _messages(configuration, Severity.WARNING) == [
        (
            "conf/flink-conf.yaml:1: 'state.checkpoints.dir' is an older name; use "
            "'execution.checkpointing.dir'."
        )
    ]


def test_an_option_under_two_names_in_one_file() -> None:
    configuration = _of_file("state.backend: filesystem\nstate.backend.type: rocksdb")
    assert configuration.to_configuration().get(STATE_BACKEND) == "rocksdb"
    assert _messages(configuration, Severity.PROBLEM) == [
        (
            "conf/flink-conf.yaml:1: 'state.backend' is ignored: 'state.backend.type' sets the "
            "same option (conf/flink-conf.yaml:2)."
        )
    ]


def test_unknown_keys_are_kept_and_named() -> None:
    configuration = _of_file("my.own: 1\nstate.chekpoints.dir: x\njobmanager.rpc.address: y")
    assert configuration.to_configuration().get_string("my.own", "") == "1"
    assert "'my.own' is no known option" in _messages(configuration, Severity.WARNING)[0]
    assert "Did you mean 'state.checkpoints.dir'?" in _messages(configuration, Severity.PROBLEM)[0]
    assert "Millpond has no cluster" in _messages(configuration, Severity.INFORMATION)[0]


@pytest.mark.parametrize(
    "key",
    [
        "jobmanager.memory.process.size",
        "taskmanager.memory.task.heap.size",
        "taskmanager.memory.jvm-overhead.fraction",
        "env.java.opts",
        "metrics.scope.tm",
        "akka.ask.timeout",
    ],
)
def test_keys_that_flink_itself_ships_are_no_problem(key: str) -> None:
    configuration = load_configuration(definitions=[f"{key}=1"], environment={})
    assert [notice.severity for notice in configuration.notices] == [Severity.INFORMATION]


def test_an_option_without_effect_says_why() -> None:
    configuration = _of_file("python.fn-execution.bundle.size: 5")
    assert "has no effect in Millpond: " in _messages(configuration, Severity.INFORMATION)[0]


def test_a_misspelt_definition_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean 'state\.backend\.type'") as error:
        load_configuration(definitions=["state.backend.typ=rocksdb"], environment={})
    assert error.value.context["origin"] == "command line -D state.backend.typ"


@pytest.mark.parametrize("definition", ["", "=", "a", "a=", "=b", " = "])
def test_what_is_no_definition_is_refused(definition: str) -> None:
    with pytest.raises(ConfigurationError, match="no definition"):
        load_configuration(definitions=[definition], environment={})


@pytest.mark.parametrize(
    "line",
    [
        "parallelism.default: many",
        "execution.checkpointing.interval: 5 ms",
        "state.backend.rocksdb.memory.write-buffer-ratio: 1.5",
        "execution.checkpointing.mode: twice",
        "taskmanager.memory.process.size: 1 elephant",
        "state.backend: rocksbd",
        "state.checkpoints.dir: /",
        "state.backend.rocksdb.localdir: relative",
        "restart-strategy: fixed",
        "state.backend.rocksdb.memory.write-buffer-ratio: 0.95",
        "restart-strategy.exponential-delay.initial-backoff: 2 min",
    ],
)
def test_a_value_that_cannot_be_is_refused_with_file_and_line(line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        _of_file("# head\n" + line).to_configuration()
    assert error.value.context["origin"] == "conf/flink-conf.yaml:2"


def test_unaligned_checkpoints_contradict_at_least_once() -> None:
    configuration = _of_file(
        "execution.checkpointing.mode: AT_LEAST_ONCE\nexecution.checkpointing.unaligned: true"
    )
    with pytest.raises(ConfigurationError, match="need the mode EXACTLY_ONCE") as error:
        configuration.to_configuration()
    assert error.value.context["origin"] == "conf/flink-conf.yaml:2"


def test_all_errors_can_be_collected() -> None:
    errors: list[ConfigurationError] = []
    source = parse_lines("parallelism.default: x\npipeline.max-parallelism: y", "f")
    EffectiveConfiguration([source], on_error=errors.append)
    assert [error.context["origin"] for error in errors] == ["f:1", "f:2"]


def test_notices_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    configuration = _of_file("state.savepoints.dir: file:///logged-once")
    with caplog.at_level(logging.WARNING, "millpond.configuration"):
        log_notices(configuration)
        log_notices(configuration)
    assert len(caplog.records) == 1
