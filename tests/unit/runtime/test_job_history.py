"""What a job manager keeps of failures."""

from __future__ import annotations

from millpond.clock import ManualClock
from millpond.common.job_status import JobStatus
from millpond.errors import CheckpointError, UserCodeError
from millpond.runtime.job_history import FailureRecord, JobHistory


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_only_the_newest_failures_are_kept():
    clock = ManualClock(7)
    history = JobHistory(clock)
    assert history.status_times == {"CREATED": 7}
    for number in range(20):
        clock.set(number)
        history.failed(ValueError(number))
    assert history.failure_count == 20
    assert [each.timestamp_ms for each in history.failures] == list(range(4, 20))
    history.status(JobStatus.RUNNING)
    assert history.status_times == {"CREATED": 7, "RUNNING": 19}


def test_a_users_exception_is_named_as_its_own():
    error = UserCodeError("f raised.", operator="count", subtask="2/4")
    error.__cause__ = BrokenError()
    record = FailureRecord.of(error, 5)
    assert record.class_name.endswith("test_job_history.BrokenError")
    assert (record.operator, record.subtask) == ("count", "2/4")
    assert "f raised." in record.text
    plain = FailureRecord.of(CheckpointError("Too slow."), 5)
    assert (plain.class_name, plain.operator) == ("millpond.errors.CheckpointError", None)


def test_no_exception_is_too_bad_to_be_kept():
    record = FailureRecord.of(BrokenError(), 5)
    assert record.text == "<its text cannot be made: RuntimeError>"
    long = FailureRecord.of(ValueError("x" * 50_000), 5)
    assert len(long.traceback) == 20_001
    assert long.traceback.startswith("…x")
