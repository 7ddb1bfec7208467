"""Snapshots that Apache Flink wrote are read back exactly as their expected.json says."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
from pathlib import Path

import pytest

from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.handles import KeyGroupsHandle
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.metadata import read_metadata, write_metadata
from millpond.formats.pyflink_serializers import (
    PYTHON_STATE_PREFIX,
    broadcast_state_meta,
    keyed_state_meta,
    timer_state_meta,
)
from millpond.formats.savepoint_content import read_operator_content

GOLDEN = Path(__file__).parent / "flink"
ROOTS = [GOLDEN]
if "MILLPOND_FLINK_FIXTURES" in os.environ:
    ROOTS.append(Path(os.environ["MILLPOND_FLINK_FIXTURES"]))
EXPECTED = [
    pytest.param(
        root, path, id=f"{path.parent.name}/{path.name}{'' if root is GOLDEN else ' (all)'}"
    )
    for root in ROOTS
    for path in sorted(root.glob("*/expected*.json"))
]


@pytest.mark.parametrize(("root", "path"), EXPECTED)
def test_snapshot_is_read_back_exactly(open_snapshot, root, path):
    snapshot = open_snapshot(root, path)
    expected = snapshot.expected
    assert snapshot.metadata.version == expected["metadata_version"]
    assert snapshot.metadata.checkpoint_id == expected["checkpoint_id"]
    assert expected["operators"]
    for operator in expected["operators"]:
        found = snapshot.content(operator)
        wanted = {name: operator[name] for name in found}
        for state in wanted.get("windows", []):
            state.setdefault("state_window", state["window"])
        assert json.dumps(found, indent=1, sort_keys=True) == json.dumps(
            wanted, indent=1, sort_keys=True
        )
    if "ttl_timestamps_between_ms" in expected:
        low, high = expected["ttl_timestamps_between_ms"]
        assert (min(snapshot.ttl_times), max(snapshot.ttl_times)) == (low, high)


def test_all_golden_fixtures_are_there():
    assert len(list(GOLDEN.glob("*/expected*.json"))) == 8


@pytest.mark.parametrize(("root", "path"), EXPECTED)
def test_what_we_would_write_is_what_flink_wrote(open_snapshot, type_of, root, path):
    """Headers made of our own builders equal Flink's, state by state."""
    snapshot = open_snapshot(root, path)
    for expected in snapshot.expected["operators"]:
        operator = snapshot.operator(expected)
        key = key_serializer_snapshot(type_of(expected["key_type"]))
        namespace = "time-window" if "windows" in expected else "void"
        ours = {
            meta.name: meta
            for meta in (
                timer_state_meta("user-timers", "event", key, namespace),
                timer_state_meta("user-timers", "processing", key, namespace),
                keyed_state_meta("window-contents", is_map=False, namespace=namespace),
                keyed_state_meta("merging-window-set", is_map=True),
                *(
                    keyed_state_meta(
                        state["name"], is_map=state["kind"] == "MAP", ttl="ttl_ms" in state
                    )
                    for state in expected.get("keyed_state", ())
                ),
            )
        }
        for subtask in operator.subtasks.values():
            for handle in subtask.keyed_managed:
                with contextlib.ExitStack() as streams:
                    header = open_keyed_state(
                        handle,
                        lambda stream: streams.enter_context(snapshot.open(stream)),
                        operator.max_parallelism,
                    ).header
                assert header.key_serializer == key
                for meta in header.states:
                    if meta.name.startswith(("_timer", "python-state-")):
                        assert meta == ours[meta.name]
        for _, content in read_operator_content(operator, snapshot.open):
            for meta in content.header.broadcasts:
                assert meta == broadcast_state_meta(meta.name.removeprefix(PYTHON_STATE_PREFIX))


@pytest.mark.parametrize(("root", "path"), EXPECTED)
def test_canonical_streams_are_written_as_flink_wrote_them(open_snapshot, make_output, root, path):
    """Reading and writing again gives the same bytes; also of metadata, apart from its version."""
    snapshot = open_snapshot(root, path)
    again = read_metadata(write_metadata(snapshot.metadata))
    assert [o.subtasks for o in again.operators] == [
        o.subtasks for o in snapshot.metadata.operators
    ]
    for operator in snapshot.metadata.operators:
        for subtask in operator.subtasks.values():
            for handle in subtask.keyed_managed:
                if isinstance(handle, KeyGroupsHandle) and handle.savepoint:
                    check_stream(handle, snapshot.open(handle.stream), make_output)


def check_stream(handle, stream, make_output):
    reader = CanonicalReader(stream, handle)
    blocks = list(reader.blocks())
    out = make_output()
    writer = CanonicalWriter(out, reader.header, handle.first_key_group, handle.last_key_group)
    for group, same_group in itertools.groupby(blocks, key=lambda block: block.key_group):
        writer.begin_key_group(group)
        for block in same_group:
            writer.write_entries(block.state_id, block.entries)
    offsets = writer.finish()
    if reader.header.compressed:
        # Another compressor may choose other bytes for the same content.
        copy = dataclasses.replace(handle, offsets=offsets)
        assert list(CanonicalReader(out.stream, copy).blocks()) == blocks
    else:
        assert offsets == handle.offsets
        stream.seek(0)
        assert out.stream.getvalue() == stream.read()
