"""What the paths about jobs and their tasks answer, field by field."""

from __future__ import annotations

import pytest

JOB, SOURCE, COUNT = "0b5e" * 8, "aa" * 16, "bb" * 16
NAME = "<script>alert(1)</script> & co"
UNMEASURED = {
    "read-bytes": -1,
    "read-bytes-complete": False,
    "write-bytes": -1,
    "write-bytes-complete": False,
    "accumulated-backpressured-time": -1,
    "accumulated-idle-time": -1,
    "accumulated-busy-time": -1,
}
STATES = (
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
    "INITIALIZING",
)


def test_overview(site):
    site.watch.found.append(
        site.watch.found[0] | {"job_id": "1" * 32, "status": "FAILED", "ended_ms": 3_000}
    )
    assert site.get("/overview").json == {
        "taskmanagers": 1,
        "slots-total": 2,
        "slots-available": 0,
        "jobs-running": 1,
        "jobs-finished": 0,
        "jobs-cancelled": 0,
        "jobs-failed": 1,
        "flink-version": "millpond-0.1.0",
        "flink-commit": "",
    }
    managers = site.get("/taskmanagers").json["taskmanagers"]
    assert [(each["id"], each["slotsNumber"], each["freeSlots"]) for each in managers] == [
        (JOB, 2, 0)
    ]
    assert managers[0]["hardware"]["managedMemory"] == -1


def test_config(site):
    found = site.get("/config").json
    assert sorted(found) == [
        "features",
        "flink-revision",
        "flink-version",
        "refresh-interval",
        "timezone-name",
        "timezone-offset",
    ]
    assert found["refresh-interval"] == 3_000
    assert found["features"] == {
        "web-submit": False,
        "web-cancel": True,
        "web-rescale": False,
        "web-history": False,
    }


def test_jobs(site):
    assert site.get("/jobs").json == {"jobs": [{"id": JOB, "status": "RUNNING"}]}
    (found,) = site.get("/jobs/overview").json["jobs"]
    tasks = found.pop("tasks")
    assert found == {
        "jid": JOB,
        "name": NAME,
        "start-time": 1_000,
        "end-time": -1,
        "duration": 8_000,
        "state": "RUNNING",
        "last-modification": 1_500,
        "pending-operators": 0,
    }
    assert tasks == {"total": 3} | {
        state.lower(): {"RUNNING": 2, "FINISHED": 1}.get(state, 0) for state in STATES
    }
    assert site.get(f"/jobs/{JOB}/status").json == {"status": "RUNNING"}


def test_a_job(site):
    found = site.get(f"/jobs/{JOB}").json
    vertices, plan = found.pop("vertices"), found.pop("plan")
    assert found == {
        "jid": JOB,
        "name": NAME,
        "isStoppable": False,
        "state": "RUNNING",
        "job-type": "STREAMING",
        "start-time": 1_000,
        "end-time": -1,
        "duration": 8_000,
        "maxParallelism": -1,
        "now": 9_000,
        "timestamps": {
            **dict.fromkeys(("INITIALIZING", "FAILING", "FAILED", "CANCELLING", "CANCELED"), 0),
            **dict.fromkeys(("FINISHED", "RESTARTING", "SUSPENDED", "RECONCILING"), 0),
            "CREATED": 1_000,
            "RUNNING": 1_500,
        },
        "pending-operators": 0,
        "status-counts": {state: int(state in {"RUNNING", "FINISHED"}) for state in STATES},
    }
    source, count = vertices
    assert source["metrics"] == UNMEASURED | {
        "read-records": 600,
        "read-records-complete": True,
        "write-records": 600,
        "write-records-complete": True,
    }
    assert count == {
        "id": COUNT,
        "name": "count -> print",
        "maxParallelism": 128,
        "parallelism": 2,
        "status": "RUNNING",
        "start-time": 1_200,
        "end-time": -1,
        "duration": 7_800,
        "tasks": {state: 2 if state == "RUNNING" else 0 for state in STATES},
        "metrics": UNMEASURED
        | {
            "read-records": 200,
            "read-records-complete": False,
            "write-records": 0,
            "write-records-complete": False,
        },
    }
    assert plan == site.get(f"/jobs/{JOB}/plan").json["plan"]


def test_the_plan(site):
    assert site.get(f"/jobs/{JOB}/plan").json == {
        "plan": {
            "jid": JOB,
            "name": NAME,
            "type": "STREAMING",
            "nodes": [
                {
                    "id": SOURCE,
                    "parallelism": 1,
                    "operator": "",
                    "operator_strategy": "",
                    "description": "numbers",
                    "optimizer_properties": {},
                },
                {
                    "id": COUNT,
                    "parallelism": 2,
                    "operator": "",
                    "operator_strategy": "",
                    "description": "count -> print",
                    "optimizer_properties": {},
                    "inputs": [
                        {
                            "num": 0,
                            "id": SOURCE,
                            "ship_strategy": "HASH",
                            "exchange": "pipelined",
                        }
                    ],
                },
            ],
        }
    }


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("FINISHED", "FINISHED"), "FINISHED"),
        (("FINISHED", "RUNNING"), "RUNNING"),
        (("FINISHED", "CREATED"), "RUNNING"),
        (("CANCELED", "FAILED"), "FAILED"),
        (("RUNNING", "INITIALIZING"), "INITIALIZING"),
        (("CREATED", "CREATED"), "CREATED"),
    ],
)
def test_the_status_of_a_vertex(site, states, status):
    for subtask, state in zip(site.watch.found[0]["vertices"][1]["subtasks"], states, strict=True):
        subtask["status"] = state
    assert site.get(f"/jobs/{JOB}").json["vertices"][1]["status"] == status


def test_configuration(site):
    assert site.get(f"/jobs/{JOB}/config").json == {
        "jid": JOB,
        "name": NAME,
        "execution-config": {
            "execution-mode": "PIPELINED",
            "restart-strategy": "Restart deactivated.",
            "job-parallelism": 2,
            "object-reuse-mode": False,
            "user-config": {"mill": "old"},
        },
    }
    assert site.get(f"/jobs/{JOB}/jobmanager/config").json == [
        {"key": "parallelism.default", "value": "2"},
        {"key": "s3.secret-key", "value": "******"},
    ]


def test_exceptions(site):
    found = site.get(f"/jobs/{JOB}/exceptions").json
    assert (found["root-exception"], found["timestamp"]) == ("Traceback: 1150", 1_150)
    assert found["truncated"] is False
    assert found["all-exceptions"][0] == {
        "exception": "Traceback: 1150",
        "task": "count (2/2)",
        "location": None,
        "timestamp": 1_150,
        "taskManagerId": None,
    }
    newest, oldest = found["exceptionHistory"]["entries"]
    assert newest == {
        "exceptionName": "ValueError",
        "stacktrace": "Traceback: 1150",
        "timestamp": 1_150,
        "taskName": "count (2/2)",
        "endpoint": None,
        "taskManagerId": None,
        "failureLabels": {},
        "concurrentExceptions": [],
    }
    assert (oldest["taskName"], oldest["timestamp"]) == (None, 1_100)
    few = site.get(f"/jobs/{JOB}/exceptions?maxExceptions=1").json["exceptionHistory"]
    assert (len(few["entries"]), few["truncated"]) == (1, True)
    assert site.get(f"/jobs/{JOB}/exceptions?maxExceptions=x").status == 400
    site.watch.found[0].update(failures=[], failure_count=0)
    assert site.get(f"/jobs/{JOB}/exceptions").json == {
        "root-exception": None,
        "timestamp": None,
        "all-exceptions": [],
        "truncated": False,
        "exceptionHistory": {"entries": [], "truncated": False},
    }


def test_accumulators(site):
    assert site.get(f"/jobs/{JOB}/accumulators").json == {
        "job-accumulators": [],
        "user-task-accumulators": [],
        "serialized-user-task-accumulators": {},
    }


def test_metrics(site):
    names = [each["id"] for each in site.get(f"/jobs/{JOB}/metrics").json]
    values = site.get(f"/jobs/{JOB}/metrics?get={','.join(names)},nothing").json
    assert {each["id"]: each["value"] for each in values} == {
        "fullRestarts": "1",
        "lastCheckpointDuration": "90",
        "lastCheckpointExternalPath": "file:///checkpoints/chk-2",
        "lastCheckpointFullSize": "4010",
        "lastCheckpointPersistedData": "21",
        "lastCheckpointRestoreTimestamp": "1500",
        "lastCheckpointSize": "310",
        "numRestarts": "1",
        "numberOfCompletedCheckpoints": "3",
        "numberOfFailedCheckpoints": "1",
        "numberOfInProgressCheckpoints": "1",
        "totalNumberOfCheckpoints": "5",
        "uptime": "7500",
    }
    site.watch.found[0].update(status="FINISHED", ended_ms=8_000)
    latest = site.watch.found[0]["checkpoints"]["latest"]
    latest.update(completed=None, restored=None)
    values = site.get(f"/jobs/{JOB}/metrics?get=uptime,lastCheckpointSize").json
    assert [each["value"] for each in values] == ["-1", "-1"]


def test_a_vertex(site):
    base = f"/jobs/{JOB}/vertices/{COUNT}"
    found = site.get(base).json
    first, second = found.pop("subtasks")
    assert found == {
        "id": COUNT,
        "name": "count -> print",
        "parallelism": 2,
        "maxParallelism": 128,
        "now": 9_000,
    }
    assert (first["subtask"], first["status"], first["attempt"]) == (0, "RUNNING", 1)
    assert first["metrics"]["read-records"] == 200
    # What a task has not told is not 0.
    assert second["metrics"]["read-records"] == -1
    times = site.get(f"{base}/subtasktimes").json["subtasks"][0]
    assert times["timestamps"]["RUNNING"] == 1_500
    assert times["timestamps"]["FINISHED"] == 0
    assert site.get(f"{base}/watermarks").json == [{"id": "0.currentInputWatermark", "value": "41"}]
    assert site.get(f"/jobs/{JOB}/vertices/{SOURCE}/watermarks").json == []
    values = site.get(f"/jobs/{JOB}/vertices/{SOURCE}/metrics?get=0.currentOutputWatermark").json
    assert values == [{"id": "0.currentOutputWatermark", "value": "42"}]
    assert site.get(f"{base}/metrics").json == [
        {"id": "0.numRecordsIn"},
        {"id": "0.numRecordsOut"},
        {"id": "0.currentInputWatermark"},
    ]
    missing = site.get(f"/jobs/{JOB}/vertices/{JOB}")
    assert (missing.status, missing.json) == (
        404,
        {"errors": [f"No vertex with ID {JOB} found."]},
    )
