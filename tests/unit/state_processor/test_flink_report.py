"""What Flink cannot use is listed before a canonical savepoint is written, and when it is shown."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.formats.pyflink_serializers import (
    broadcast_state_meta,
    keyed_state_meta,
    operator_list_state_meta,
)
from millpond.runtime.flink_report import FlinkReport
from millpond.runtime.subtask_snapshot import OperatorSnapshot
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.snapshot import HeapSnapshot
from millpond.state.operator_state.snapshot import CapturedState, OperatorStateSnapshot

SAVEPOINT = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)


class Captured:
    meta = keyed_state_meta("typed", is_map=False, signature="VALUE<TYPED<app.Order>>")


def captured(**broadcast):
    states = [
        CapturedState(operator_list_state_meta("mine"), [b"x"], None),
        CapturedState(operator_list_state_meta("empty"), [], None),
        CapturedState(broadcast_state_meta("rules"), list(broadcast.items()), lambda *_: None),
    ]
    snapshot = OperatorSnapshot(b"", OperatorStateSnapshot(states, None, "operator", 5))
    snapshot.keyed_state = HeapSnapshot([Captured()], None, lambda: None)
    return snapshot


def reported(caplog, snapshot, options=SAVEPOINT, *, report=None, checkpoint_id=5):
    caplog.clear()
    (report or FlinkReport()).report(snapshot, "my operator", checkpoint_id, options)
    return [record.getMessage() for record in caplog.records]


def test_each_state_is_listed_before_writing(caplog):
    report = FlinkReport()
    mine, none, typed = reported(caplog, captured(a=1, b=None), report=report)
    assert mine.startswith(
        "Savepoint 5, operator my operator: Apache Flink cannot use mine: list state"
    )
    assert "python-state-rules: None as a value" in none
    assert "Types.TYPED(app.Order)" in typed
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    # Other subtasks add only what is not said yet; the next savepoint says all.
    assert reported(caplog, captured(a=1, b=None), report=report) == []
    assert len(reported(caplog, captured(a=1, b=None), report=report, checkpoint_id=6)) == 3


@pytest.mark.parametrize(
    "options",
    [SnapshotOptions(), SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE)],
)
def test_other_snapshots_are_millponds_own_affair(caplog, options):
    assert reported(caplog, captured(b=None), options=options) == []


def test_the_command_shows_them(millpond_savepoint):
    shown = CliRunner().invoke(main, ["savepoint", "show", millpond_savepoint])
    assert shown.exit_code == 0
    assert "Apache Flink cannot use source-splits: positions of a source" in shown.output
