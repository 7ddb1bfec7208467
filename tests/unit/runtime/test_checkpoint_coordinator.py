from __future__ import annotations

import errno

import pytest

from millpond.checkpoint.completed_store import CompletedCheckpointStore
from millpond.checkpoint.storage import FileSystemCheckpointStorage
from millpond.clock import ManualClock
from millpond.errors import CheckpointDeclinedError, CheckpointError, CheckpointTimeoutError
from millpond.filesystem import MemoryFileSystem
from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
from millpond.runtime.checkpoint_settings import CheckpointSettings
from millpond.runtime.job_graph import JobGraph, JobVertex, OperatorNode
from millpond.runtime.message import (
    Acknowledge,
    Decline,
    NotifyAborted,
    NotifyComplete,
    TriggerCheckpoint,
)
from millpond.runtime.task_metrics import SubtaskCheckpointMetrics
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem

SAVEPOINT = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)


def graph_of(parallelism):
    node = OperatorNode(b"o" * 16, "operator", "uid", b"", None, None, frozenset())
    return JobGraph("job", (JobVertex(0, (node,), (), parallelism, 128, False),), ())


class Setting:
    def __init__(self, *, retained=1, frame_size_bytes=None, memory_size_bytes=None, **settings):
        self.files = FaultyFileSystem(MemoryFileSystem())
        self.clock = ManualClock(1_000_000)
        storage = FileSystemCheckpointStorage(
            "memory:///checkpoints",
            "ab" * 16,
            savepoint_directory="memory:///savepoints",
            resolve=self.files.resolve,
        )
        storage.initialize()
        self.store = CompletedCheckpointStore(
            storage, retained=retained, resolve=self.files.resolve
        )
        self.sent, self.failures = [], []
        settings.setdefault("interval_ms", 100)
        self.coordinator = CheckpointCoordinator(
            graph_of(2),
            CheckpointSettings(**settings),
            self.store,
            self.clock,
            self.sent.append,
            self.failures.append,
            frame_size_bytes=frame_size_bytes,
            memory_size_bytes=memory_size_bytes,
        )
        self.coordinator.start()

    def pass_ms(self, milliseconds):
        """Let time pass; return what was sent."""
        self.clock.advance(milliseconds)
        self.coordinator.tick()
        return self.take()

    def take(self):
        sent, self.sent[:] = list(self.sent), []
        return [
            (type(message).__name__.lower(), message.checkpoint_id)
            for message in sent
            if isinstance(message, TriggerCheckpoint | NotifyComplete | NotifyAborted)
        ]

    def acknowledge(self, number, subtask, size=0):
        metrics = SubtaskCheckpointMetrics(0, 0, 0, size, size)
        self.coordinator.acknowledge(Acknowledge(number, 0, subtask, {}, {}, metrics))

    def complete(self, number):
        self.acknowledge(number, 0)
        self.acknowledge(number, 1)
        return self.take()

    def decline(self, number, error=None):
        error = error or CheckpointDeclinedError("no")
        self.coordinator.decline(Decline(number, 0, 1, error))
        return self.take()

    @property
    def statuses(self):
        return [each.status.name for each in self.coordinator.statistics]


def test_checkpoints_are_triggered_periodically_and_complete_when_all_answered():
    one = Setting()
    assert one.pass_ms(99) == []
    assert one.pass_ms(1) == [("triggercheckpoint", 1)]
    one.acknowledge(1, 0)
    one.acknowledge(1, 0)
    assert one.take() == []
    assert one.store.latest is None
    one.acknowledge(1, 1)
    assert one.take() == [("notifycomplete", 1)]
    assert one.store.latest.checkpoint_id == 1
    assert one.pass_ms(100) == [("triggercheckpoint", 2)]
    assert one.complete(2) == [("notifycomplete", 2)]
    assert one.statuses == ["COMPLETED", "COMPLETED"]


def test_without_an_interval_there_are_only_those_asked_for():
    one = Setting(interval_ms=None)
    assert one.pass_ms(10**6) == []
    future = one.coordinator.request(one.coordinator.checkpoint_options())
    assert one.pass_ms(0) == [("triggercheckpoint", 1)]
    one.complete(1)
    assert future.result(0).checkpoint_id == 1


def test_after_the_last_one_there_are_no_periodic_ones_until_the_next_attempt():
    one = Setting()
    one.coordinator.request_last(one.coordinator.checkpoint_options())
    assert one.pass_ms(100) == [("triggercheckpoint", 1)]
    assert one.complete(1) == [("notifycomplete", 1)]
    assert one.pass_ms(10**6) == []
    one.coordinator.stop("restarted")
    one.coordinator.start()
    assert one.pass_ms(100) == [("triggercheckpoint", 2)]


def test_one_at_a_time_unless_more_are_allowed():
    one = Setting()
    one.pass_ms(100)
    assert one.pass_ms(500) == []
    one.complete(1)
    assert one.pass_ms(0) == [("triggercheckpoint", 2)]
    two = Setting(max_concurrent=2)
    assert two.pass_ms(100) + two.pass_ms(100) + two.pass_ms(100) == [
        ("triggercheckpoint", 1),
        ("triggercheckpoint", 2),
    ]
    # The newer one completes first: the older one is given up.
    assert two.complete(2) == [("notifyaborted", 1), ("notifycomplete", 2)]
    assert two.complete(1) == []
    assert two.store.latest.checkpoint_id == 2


def test_the_pause_counts_from_the_end_of_the_last_one():
    one = Setting(min_pause_ms=300)
    one.pass_ms(100)
    one.complete(1)
    assert one.pass_ms(299) == []
    assert one.pass_ms(1) == [("triggercheckpoint", 2)]


def test_savepoints_go_first_wait_for_no_pause_and_are_no_point_to_recover_to():
    one = Setting(min_pause_ms=10_000)
    one.pass_ms(100)
    one.complete(1)
    checkpoint = one.coordinator.request(one.coordinator.checkpoint_options())
    savepoint = one.coordinator.request(SAVEPOINT)
    assert one.pass_ms(0) == [("triggercheckpoint", 2)]
    assert one.complete(2) == []
    assert savepoint.result(0).is_savepoint
    assert savepoint.result(0).location.directory.startswith("memory:///savepoints/savepoint-")
    assert one.store.latest.checkpoint_id == 1
    assert one.pass_ms(0) == [("triggercheckpoint", 3)]
    one.complete(3)
    assert checkpoint.result(0).checkpoint_id == 3


def test_one_that_takes_too_long_expires_and_late_answers_are_dropped():
    one = Setting(timeout_ms=1000, tolerable_failures=1)
    one.pass_ms(100)
    one.acknowledge(1, 0)
    assert one.pass_ms(999) == []
    assert one.pass_ms(1)[0] == ("notifyaborted", 1)
    assert "expired" in one.coordinator.statistics[0].failure
    assert "waiting for: operator (2)" in one.coordinator.statistics[0].failure
    one.acknowledge(1, 1)
    assert one.store.latest is None
    assert one.failures == []


def test_checkpoints_that_were_given_up_do_not_pile_up():
    one = Setting(tolerable_failures=1 << 30)
    for number in range(1, 251):
        one.pass_ms(110)
        one.decline(number)
    assert one.statuses == ["FAILED"] * 250
    assert len(one.coordinator._late_locations) == 100
    assert list(one.coordinator._late_locations)[-1] == 250


def test_failures_in_a_row_fail_the_job_and_a_success_forgives():
    one = Setting(tolerable_failures=1)
    one.pass_ms(110)
    assert one.decline(1) == [("notifyaborted", 1)]
    one.pass_ms(110)
    one.complete(2)
    one.pass_ms(110)
    one.decline(3)
    assert one.failures == []
    one.pass_ms(110)
    one.decline(4, OSError("disk"))
    (failure,) = one.failures
    assert "tolerable failure threshold" in str(failure)
    assert "tolerable-failed-checkpoints" in failure.hint
    assert "disk" in str(failure.__cause__)
    assert one.statuses == ["FAILED", "COMPLETED", "FAILED", "FAILED"]


def test_a_failed_savepoint_is_told_to_its_owner_only():
    one = Setting()
    future = one.coordinator.request(SAVEPOINT)
    one.pass_ms(0)
    one.decline(1)
    with pytest.raises(CheckpointError):
        future.result(0)
    assert one.failures == []


def test_an_expired_request_is_told():
    one = Setting(timeout_ms=1000, interval_ms=None)
    future = one.coordinator.request(one.coordinator.checkpoint_options())
    one.pass_ms(0)
    one.pass_ms(1000)
    with pytest.raises(CheckpointTimeoutError):
        future.result(0)


@pytest.mark.parametrize("operation", ["make_directories", "publish"])
def test_storage_that_fails_fails_the_checkpoint(operation):
    one = Setting()
    one.files.inject(Fault(operation, "*chk-1*", error=errno.ENOSPC))
    one.pass_ms(100)
    one.complete(1)
    assert one.statuses == ["FAILED"]
    (failure,) = one.failures
    assert "No space left" in str(failure)
    assert one.store.latest is None


def test_an_acknowledgement_above_the_frame_size_is_refused():
    one = Setting(frame_size_bytes=100)
    one.pass_ms(100)
    one.acknowledge(1, 0, size=100)
    one.acknowledge(1, 1, size=101)
    (failure,) = one.failures
    assert "frame size is 100" in str(failure)


def test_the_sum_of_all_subtasks_must_fit_the_job_managers_memory():
    one = Setting(memory_size_bytes=200)
    one.pass_ms(100)
    one.acknowledge(1, 0, size=100)
    one.acknowledge(1, 1, size=101)
    (failure,) = one.failures
    assert "201 bytes" in str(failure)
    assert "memory takes 200" in str(failure)
    assert "Use FsStateBackend or RocksDBStateBackend" in str(failure)
    assert "jobmanager.memory.heap.size" in str(failure)


def test_the_end_of_an_attempt_gives_up_and_the_counter_goes_on():
    one = Setting()
    one.pass_ms(100)
    future = one.coordinator.request(SAVEPOINT)
    one.coordinator.stop("over")
    with pytest.raises(CheckpointError, match="over"):
        future.result(0)
    assert one.failures == []
    assert one.pass_ms(1000) == []
    one.coordinator.start()
    assert one.pass_ms(100) == [("triggercheckpoint", 2)]
    one.complete(1)
    assert one.complete(2) == [("notifycomplete", 2)]


def test_so_many_are_retained():
    one = Setting(retained=2)
    for number in (1, 2, 3):
        one.pass_ms(110)
        one.complete(number)
    assert [each.checkpoint_id for each in one.store.checkpoints] == [2, 3]


def test_while_suspended_only_savepoints_are_taken():
    one = Setting(max_concurrent=3, tolerable_failures=0)
    one.pass_ms(100)
    waiting = one.coordinator.request(one.coordinator.checkpoint_options())
    one.coordinator.suspend()
    assert one.take() == [("notifyaborted", 1)]
    refused = one.coordinator.request(one.coordinator.checkpoint_options())
    for future in (waiting, refused):
        assert "cancelled with a savepoint" in str(future.exception(0))
    savepoint = one.coordinator.request(SAVEPOINT)
    assert one.pass_ms(1000) == [("triggercheckpoint", 2)]
    # What a task answers late brings nothing back.
    one.complete(1)
    one.complete(2)
    assert savepoint.result(0).is_savepoint
    assert one.store.latest is None
    assert one.failures == []
    one.coordinator.resume()
    assert one.pass_ms(100) == [("triggercheckpoint", 3)]
