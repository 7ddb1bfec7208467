"""Rewriting files with current names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millpond.configuration.effective_configuration import EffectiveConfiguration
from millpond.configuration.entry import Severity
from millpond.configuration.line_format import parse_lines
from millpond.configuration.migration import migrated
from millpond.configuration.registry import option_registry
from millpond.configuration.yaml_format import parse_yaml

KEYS = [registered.option.key for registered in option_registry() if registered.until is None]


def test_older_names_become_current_ones_and_comments_stay() -> None:
    text = """# my cluster

state.backend: rocksdb  # large state
state.backend.incremental: true
state.checkpoints.dir: hdfs://namenode:40010/flink/checkpoints
jobmanager.rpc.address: localhost
"""
    assert (
        migrated(text, "f", line_format=True)
        == """# my cluster

state.backend.type: rocksdb  # large state
execution.checkpointing.incremental: true
execution.checkpointing.dir: hdfs://namenode:40010/flink/checkpoints
jobmanager.rpc.address: localhost
"""
    )


def test_the_old_pairs_become_store_and_storage() -> None:
    text = "state.backend: filesystem\nexecution.checkpointing.storage: jobmanager"
    assert migrated(text, "f", line_format=True) == (
        "state.backend.type: hashmap\n"
        "execution.checkpointing.storage: filesystem\n"
        "# ignored, set by another name: execution.checkpointing.storage: jobmanager\n"
    )
    factory = "org.apache.flink.runtime.state.memory.MemoryStateBackendFactory"
    assert migrated(f"state.backend: {factory}", "f", line_format=True) == (
        "state.backend.type: hashmap\nexecution.checkpointing.storage: jobmanager\n"
    )
    assert migrated("state.backend: acme.Store", "f", line_format=True) == (
        "state.backend.type: acme.Store\n"
    )


def test_what_does_not_count_becomes_a_comment() -> None:
    text = "state.backend.async: false\nno entry\nparallelism.default: 1\nparallelism.default: 2"
    assert migrated(text, "f", line_format=True) == (
        "# dropped after Flink 1.13: state.backend.async: false\n"
        "# ignored: no entry\n"
        "# ignored: parallelism.default: 1\n"
        "parallelism.default: 2\n"
    )


def test_values_that_yaml_would_misread_are_quoted() -> None:
    text = 'my.a: {x\nmy.b: null\nmy.c: "x"\nmy.d: - y\nmy.e: *z\nmy.f: a\\b\x07'
    found = parse_yaml(migrated(text, "f", line_format=True), "g")
    assert {entry.key: entry.value for entry in found.entries} == {
        "my.a": "{x",
        "my.b": "null",
        "my.c": '"x"',
        "my.d": "- y",
        "my.e": "*z",
        "my.f": "a\\b",
    }


def test_yaml_is_flattened() -> None:
    text = "state:\n  backend: rocksdb\n  savepoints.dir: file:///s\n"
    assert migrated(text, "f", line_format=False) == (
        "state.backend.type: rocksdb\nexecution.checkpointing.savepoint-dir: file:///s\n"
    )


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(KEYS), st.text(min_size=1, max_size=8)), st.text(max_size=8)
        ),
        max_size=6,
    )
)
def test_a_migrated_file_is_yaml_and_holds_the_same_values(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{key}: {value}" for key, value in pairs)
    before = parse_lines(text, "f")
    after = parse_yaml(migrated(text, "f", line_format=True), "g")
    values = {entry.key: entry.value for entry in after.entries}
    for entry in before.entries:
        known = option_registry().find(entry.key)
        if known is None:
            assert values[entry.key] == entry.value


def test_a_migrated_file_has_no_older_names() -> None:
    text = "\n".join(
        f"{registered.option.spellings[-1]}: {registered.option.format(registered.option.default)}"
        for registered in option_registry()
        if registered.option.default not in (None, "", {}) and registered.until is None
    )
    before = EffectiveConfiguration([parse_lines(text, "f")])
    after = EffectiveConfiguration([parse_yaml(migrated(text, "f", line_format=True), "g")])
    assert before.to_configuration() == after.to_configuration()
    assert all(notice.severity is Severity.INFORMATION for notice in after.notices)
