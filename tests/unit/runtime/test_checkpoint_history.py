from __future__ import annotations

from millpond.runtime.checkpoint_history import CheckpointHistory, Distribution
from millpond.runtime.checkpoint_statistics import CheckpointStatistics, CheckpointStatus
from millpond.runtime.task_metrics import SubtaskCheckpointMetrics
from millpond.state.contract.snapshot import SnapshotKind


def checkpoint(history, number, *, failed=False):
    one = CheckpointStatistics(number, SnapshotKind.CHECKPOINT, False, 1_000)
    history.append(one)
    one.subtasks[0, 0] = SubtaskCheckpointMetrics(0, number, 1, number * 10, number * 100, 5)
    one.status = CheckpointStatus.FAILED if failed else CheckpointStatus.COMPLETED
    one.end_ms = 1_000 + number
    history.ended(one)
    return one


def test_counts_and_summary_cover_what_is_forgotten():
    history = CheckpointHistory()
    for number in range(1, 2_001):
        checkpoint(history, number)
    checkpoint(history, 2_001, failed=True)
    history.append(CheckpointStatistics(2_002, SnapshotKind.SAVEPOINT, False, 1_000))
    assert len(history) == len(list(history)) == 1_000
    assert (history[-1].checkpoint_id, history[0].checkpoint_id) == (2_002, 1_003)
    assert [each.checkpoint_id for each in history[-2:]] == [2_001, 2_002]
    counts = history.counts
    assert (counts.total, counts.in_progress, counts.completed, counts.failed) == (
        2_002,
        1,
        2_000,
        1,
    )
    summary = history.summary()
    durations = summary["end_to_end_duration_ms"]
    assert (durations.minimum, durations.maximum, durations.average) == (1, 2_000, 1_000.5)
    assert (durations.p50, durations.p90, durations.p99) == (1_001, 1_801, 1_981)
    assert summary["checkpointed_bytes"].maximum == 20_000
    assert summary["state_bytes"].maximum == 200_000
    assert summary["persisted_in_flight_bytes"].minimum == 5
    assert summary["synchronous_ms"].p999 == 1_999


def test_a_summary_of_nothing_and_of_one():
    assert Distribution.of([]) == Distribution(*([0.0] * 8))
    one = Distribution.of([7])
    assert {one.minimum, one.maximum, one.average, one.p50, one.p90, one.p95, one.p999} == {7}
