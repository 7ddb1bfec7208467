"""What `/jobs/{id}/checkpoints…` answers, field by field, as Flink's REST API names them."""

from __future__ import annotations

import pytest

JOB, SOURCE, COUNT = "0b5e" * 8, "aa" * 16, "bb" * 16
BASE = f"/jobs/{JOB}/checkpoints"


def same(value):
    """A distribution of equal values."""
    whole = round(value)
    return {
        **dict.fromkeys(("min", "max", "avg"), whole),
        **dict.fromkeys(("p50", "p90", "p95", "p99", "p999"), value),
    }


NOT_MEASURED = same(-1)
COMPLETED = {
    "@class": "completed",
    "id": 2,
    "status": "COMPLETED",
    "is_savepoint": False,
    "savepointFormat": None,
    "trigger_timestamp": 2_000,
    "latest_ack_timestamp": 2_080,
    "checkpointed_size": 310,
    "state_size": 4_010,
    "end_to_end_duration": 90,
    "alignment_buffered": 0,
    "processed_data": -1,
    "persisted_data": 21,
    "num_subtasks": 3,
    "num_acknowledged_subtasks": 3,
    "checkpoint_type": "CHECKPOINT",
    "tasks": {},
    "external_path": "file:///checkpoints/chk-2",
    "discarded": False,
}


def test_overview(site):
    answer = site.get(BASE)
    assert answer.status == 200
    found = answer.json
    assert sorted(found) == ["counts", "history", "latest", "summary"]
    assert found["counts"] == {
        "restored": 1,
        "total": 5,
        "in_progress": 1,
        "completed": 3,
        "failed": 1,
    }
    assert found["summary"] == {
        "checkpointed_size": same(310.0),
        "state_size": same(4010.0),
        "end_to_end_duration": same(90.0),
        "alignment_buffered": same(0.0),
        "processed_data": NOT_MEASURED,
        "persisted_data": same(21.0),
    }
    latest = found["latest"]
    assert latest["completed"] == COMPLETED
    assert latest["restored"] == {
        "id": 1,
        "restore_timestamp": 1_500,
        "is_savepoint": False,
        "external_path": "file:///checkpoints/chk-1",
    }
    savepoint = latest["savepoint"]
    assert (savepoint["checkpoint_type"], savepoint["savepointFormat"]) == (
        "SAVEPOINT",
        "CANONICAL",
    )
    # Nobody deletes a savepoint because of newer ones.
    assert (savepoint["is_savepoint"], savepoint["discarded"]) == (True, False)
    failed = latest["failed"]
    assert (failed["failure_timestamp"], failed["failure_message"]) == (4_090, "The disk is full.")
    assert (failed["@class"], failed["num_acknowledged_subtasks"]) == ("failed", 2)
    assert "external_path" not in failed


def test_history(site):
    in_progress, failed, savepoint, completed = site.get(BASE).json["history"]
    assert completed == COMPLETED
    assert [each["id"] for each in (in_progress, failed, savepoint)] == [5, 4, 3]
    assert (in_progress["@class"], in_progress["status"]) == ("in_progress", "IN_PROGRESS")
    assert in_progress["num_acknowledged_subtasks"] == 2
    assert in_progress["latest_ack_timestamp"] == 5_060
    assert in_progress["end_to_end_duration"] == 60
    assert not {"external_path", "failure_message"} & in_progress.keys()


def test_a_checkpoint_that_newer_ones_replaced_is_discarded(site):
    site.watch.found[0]["checkpoints"]["retained"] = [9]
    assert site.get(BASE).json["latest"]["completed"]["discarded"] is True


def test_an_unaligned_checkpoint_and_one_in_memory(site):
    one = site.watch.found[0]["checkpoints"]["latest"]["completed"]
    one.update(unaligned=True, external_path=None)
    found = site.get(BASE).json["latest"]["completed"]
    assert found["checkpoint_type"] == "UNALIGNED_CHECKPOINT"
    assert found["external_path"] == "<checkpoint-not-externally-addressable>"


def test_settings(site):
    expected = {
        "mode": "exactly_once",
        "interval": 1_000,
        "timeout": 600_000,
        "min_pause": 5,
        "max_concurrent": 1,
        "externalization": {"enabled": True, "delete_on_cancellation": False},
        "state_backend": "EmbeddedRocksDBStateBackend",
        "checkpoint_storage": "FileSystemCheckpointStorage",
        "unaligned_checkpoints": False,
        "tolerable_failed_checkpoints": 3,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": True,
        "state_changelog_enabled": False,
        "changelog_storage": None,
        "changelog_periodic_materialization_interval": -1,
    }
    assert site.get(f"{BASE}/config").json == expected
    settings = site.watch.found[0]["checkpointing"]
    settings.update(interval_ms=None, retention="NO_EXTERNALIZED_CHECKPOINTS")
    found = site.get(f"{BASE}/config").json
    assert found["interval"] == 9_223_372_036_854_775_807
    assert found["externalization"] == {"enabled": False, "delete_on_cancellation": True}


def test_details(site):
    found = site.get(f"{BASE}/details/2").json
    tasks = found["tasks"]
    assert found == COMPLETED | {"tasks": tasks}
    assert tasks == {
        SOURCE: {
            "id": 2,
            "status": "COMPLETED",
            "latest_ack_timestamp": 2_040,
            "checkpointed_size": 10,
            "state_size": 10,
            "end_to_end_duration": 40,
            "alignment_buffered": 0,
            "processed_data": -1,
            "persisted_data": 7,
            "num_subtasks": 1,
            "num_acknowledged_subtasks": 1,
        },
        COUNT: {
            "id": 2,
            "status": "COMPLETED",
            "latest_ack_timestamp": 2_080,
            "checkpointed_size": 300,
            "state_size": 4_000,
            "end_to_end_duration": 80,
            "alignment_buffered": 0,
            "processed_data": -1,
            "persisted_data": 14,
            "num_subtasks": 2,
            "num_acknowledged_subtasks": 2,
        },
    }
    failed = site.get(f"{BASE}/details/4").json["tasks"]
    assert (failed[SOURCE]["status"], failed[COUNT]["status"]) == ("COMPLETED", "FAILED")


def test_subtasks(site):
    found = site.get(f"{BASE}/details/2/subtasks/{COUNT}").json
    summary = found.pop("summary")
    first, second = found.pop("subtasks")
    assert found == site.get(f"{BASE}/details/2").json["tasks"][COUNT]
    assert first == {
        "index": 0,
        "status": "completed",
        "ack_timestamp": 2_060,
        "end_to_end_duration": 60,
        "state_size": 1_000,
        "checkpointed_size": 100,
        "checkpoint": {"sync": 3, "async": 30},
        "alignment": {"buffered": 0, "processed": -1, "persisted": 7, "duration": 3},
        "start_delay": 1,
        "unaligned_checkpoint": False,
        "aborted": False,
    }
    assert (second["index"], second["checkpointed_size"]) == (1, 200)
    assert sorted(summary) == [
        "alignment",
        "checkpoint_duration",
        "checkpointed_size",
        "end_to_end_duration",
        "start_delay",
        "state_size",
    ]
    sizes = summary["checkpointed_size"]
    assert (sizes["min"], sizes["max"], sizes["avg"], sizes["p999"]) == (100, 200, 150, 200)
    assert summary["checkpoint_duration"] == {"sync": same(2.6), "async": same(30.2)}
    assert summary["alignment"] == {
        "buffered": same(0.0),
        "processed": NOT_MEASURED,
        "persisted": same(7),
        "duration": same(3.0),
    }


def test_a_subtask_that_has_not_answered(site):
    found = site.get(f"{BASE}/details/5/subtasks/{COUNT}").json
    assert found["status"] == "IN_PROGRESS"
    assert found["subtasks"][1] == {"index": 1, "status": "pending_or_failed"}
    failed = site.get(f"{BASE}/details/4/subtasks/{COUNT}").json
    assert failed["subtasks"][0]["aborted"] is True


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("details/9", 404, "Could not find checkpointing statistics for checkpoint 9."),
        ("details/x", 400, "Bad request: 'x' is no checkpoint id."),
        (f"details/2/subtasks/{JOB}", 404, f"There is no checkpoint statistics for task {JOB}."),
        ("details/2/subtasks/x", 400, "Bad request: 'x' is no vertex id: 32 hexadecimal digits."),
    ],
)
def test_what_is_not_there(site, path, status, text):
    answer = site.get(f"{BASE}/{path}")
    assert (answer.status, answer.json) == (status, {"errors": [text]})


@pytest.mark.parametrize("path", ["", "/config", "/details/1"])
def test_a_job_without_checkpoints(site, path):
    report = site.watch.found[0]
    report["checkpointing"]["enabled"] = False
    # Of one that was asked for there is something to see.
    assert site.get(BASE).status == 200
    report["checkpoints"]["counts"]["total"] = 0
    answer = site.get(BASE + path)
    assert answer.status == 404
    assert answer.json == {"errors": ["Checkpointing has not been enabled."]}
