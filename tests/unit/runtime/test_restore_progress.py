"""How far a restore is: counted, told now and then, printed by the command."""

from __future__ import annotations

from millpond.checkpoint.reader import SnapshotSource
from millpond.cli.restore_output import RestoreOutput, text_of
from millpond.clock import ManualClock
from millpond.formats.handles import (
    InlineHandle,
    KeyGroupsHandle,
    OperatorState,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.runtime.message import Restore, RestorePhase, RestoreProgress
from millpond.runtime.restore_progress import RestoreTracker


def restore_of(*streams):
    handles = tuple(KeyGroupsHandle(0, (0,), stream) for stream in streams)
    state = OperatorState(bytes(16), 1, 128, {0: SubtaskState(keyed_managed=handles)})
    return Restore(7, SnapshotSource(None, {}), {bytes(16): state})


def test_bytes_are_counted_and_told_five_times_a_second():
    clock, told = ManualClock(1000), []
    files = (RelativeFileHandle("a", 600), RelativeFileHandle("b", 400))
    inline = InlineHandle(b"x" * 50, "c")
    tracker = RestoreTracker(restore_of(*files, inline), clock, told.append)
    tracker.add(100)
    assert told == []
    clock.advance(250)
    tracker.add(150)
    clock.advance(190)
    tracker.add(10)
    assert told == [RestoreProgress(7, RestorePhase.READING, 250, 1000, 250)]
    assert told[0].remaining_ms == 750
    clock.advance(60)
    tracker.add(5000)
    tracker.opening()
    assert [(one.phase, one.done_bytes) for one in told[1:]] == [
        (RestorePhase.READING, 1000),
        (RestorePhase.OPENING, 1000),
    ]


def test_the_command_prints_long_restores_only(capsys):
    output = RestoreOutput()
    for elapsed_ms in (500, 1999, 2000, 2100, 4000, 100, 2100):
        output.on_restore(RestoreProgress(7, RestorePhase.READING, 1 << 20, 4 << 20, elapsed_ms))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Restoring checkpoint 7: reading 1.0 of 4.0 MiB, 6 s left"
    assert len(lines) == 3


def test_the_text_of_the_other_phases():
    opening = RestoreProgress(7, RestorePhase.OPENING, 3 << 20, 3 << 20, 10)
    assert text_of(opening) == "Restoring checkpoint 7: opening, 3.0 MiB read"
    begun = RestoreProgress(7, RestorePhase.READING, 0, 3 << 20, 10)
    assert text_of(begun) == "Restoring checkpoint 7: reading 0.0 of 3.0 MiB"
