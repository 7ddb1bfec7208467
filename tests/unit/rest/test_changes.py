"""Savepoints, checkpoints, stops and cancellations over HTTP: begun, polled, refused."""

from __future__ import annotations

import threading

import pytest

from millpond.errors import CheckpointError, JobRequestError
from millpond.rest import changes

# What takes longer has come to nothing.
PATIENCE_SECONDS = 120

JOB = "0b5e" * 8
TRIGGER = "c0ffee00" * 4
NO_DIRECTORY = "Config key [state.savepoints.dir] is not set. Property [{}] must be provided."


def finished(site, kind, trigger_id):
    operation = site.operations.find((kind, JOB, trigger_id))
    assert operation.done.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("path", "body", "request_to_job"),
    [
        (
            "savepoints",
            {"target-directory": "/s"},
            {"command": "savepoint", "savepoint": True, "directory": "/s", "format": "canonical"},
        ),
        (
            "savepoints",
            {"target-directory": "/s", "cancel-job": True, "formatType": "NATIVE"},
            {"command": "cancel", "savepoint": True, "directory": "/s", "format": "native"},
        ),
        (
            "stop",
            {"targetDirectory": "/s"},
            {"command": "stop", "directory": "/s", "drain": False, "format": "canonical"},
        ),
        (
            "stop",
            {"targetDirectory": "/s", "drain": True, "formatType": "native"},
            {"command": "stop", "directory": "/s", "drain": True, "format": "native"},
        ),
    ],
)
def test_a_savepoint(site, token, path, body, request_to_job):
    site.watch.answer = {"path": "file:///s/savepoint-1"}
    begun = site.ask("POST", f"/jobs/{JOB}/{path}", body, token=token)
    assert begun.status == 202
    trigger_id = begun.json["request-id"]
    assert len(trigger_id) == 32
    finished(site, "savepoint", trigger_id)
    polled = site.get(f"/jobs/{JOB}/savepoints/{trigger_id}")
    assert (polled.status, polled.json) == (
        200,
        {"status": {"id": "COMPLETED"}, "operation": {"location": "file:///s/savepoint-1"}},
    )
    assert site.watch.asked == [(JOB, request_to_job)]


def test_a_checkpoint(site, token):
    site.watch.answer = {"path": "file:///chk-6", "checkpoint_id": 6}
    begun = site.ask("POST", f"/jobs/{JOB}/checkpoints", token=token)
    trigger_id = begun.json["request-id"]
    finished(site, "checkpoint", trigger_id)
    # The path of the statistics beside it is another one.
    assert site.get(f"/jobs/{JOB}/checkpoints/{trigger_id}").json == {
        "status": {"id": "COMPLETED"},
        "operation": {"checkpointId": 6},
    }
    same = site.ask(
        "POST", f"/jobs/{JOB}/checkpoints", {"checkpointType": "INCREMENTAL"}, token=token
    )
    assert same.status == 202
    other = site.ask("POST", f"/jobs/{JOB}/checkpoints", {"checkpointType": "FULL"}, token=token)
    assert other.json == {
        "errors": ["Bad request: the job is configured for INCREMENTAL checkpoints, not FULL."]
    }


def test_a_repeated_trigger_begins_nothing(site, token):
    release = threading.Event()
    site.watch.ask = lambda job_id, request: (
        site.watch.asked.append(request),
        release.wait(PATIENCE_SECONDS),
        {"path": "file:///s"},
    )[-1]
    body = {"target-directory": "/s", "triggerId": TRIGGER.upper()}
    for _ in range(3):
        begun = site.ask("POST", f"/jobs/{JOB}/savepoints", body, token=token)
        assert (begun.status, begun.json) == (202, {"request-id": TRIGGER})
    assert site.get(f"/jobs/{JOB}/savepoints/{TRIGGER}").json == {
        "status": {"id": "IN_PROGRESS"},
        "operation": None,
    }
    release.set()
    finished(site, "savepoint", TRIGGER)
    # Also when the job is over, as it is after a stop.
    site.watch.found[0].update(status="FINISHED", ended_ms=9_000)
    begun = site.ask("POST", f"/jobs/{JOB}/savepoints", body, token=token)
    assert begun.status == 202
    assert len(site.watch.asked) == 1


@pytest.mark.parametrize(
    ("path", "failure"), [("savepoints", "failure-cause"), ("checkpoints", "failureCause")]
)
def test_an_operation_that_fails_is_complete(site, token, path, failure):
    site.watch.answer = JobRequestError("The disk is full.", hint="Make room.")
    body = {"target-directory": "/s"} if path == "savepoints" else {}
    begun = site.ask("POST", f"/jobs/{JOB}/{path}", body, token=token)
    finished(site, path[:-1], begun.json["request-id"])
    found = site.get(f"/jobs/{JOB}/{path}/{begun.json['request-id']}").json
    assert found["status"] == {"id": "COMPLETED"}
    cause = found["operation"][failure]
    assert cause["class"] == "millpond.errors.JobRequestError"
    assert "The disk is full." in cause["stack-trace"]
    assert sorted(cause) == ["class", "serialized-throwable", "stack-trace"]


def test_cancel(site, token):
    site.watch.answer = {}
    done = site.ask("PATCH", f"/jobs/{JOB}?mode=cancel", token=token)
    assert (done.status, done.json) == (202, {})
    assert site.watch.asked == [(JOB, {"command": "cancel"})]
    assert site.ask("PATCH", f"/jobs/{JOB}", token=token).status == 202
    refused = site.ask("PATCH", f"/jobs/{JOB}?mode=stop", token=token)
    assert refused.status == 400
    site.watch.found[0].update(status="FAILED", ended_ms=9_000)
    refused = site.ask("PATCH", f"/jobs/{JOB}?mode=cancel", token=token)
    assert refused.status == 409
    assert "(FAILED)" in refused.json["errors"][0]


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (
            "savepoints",
            {},
            NO_DIRECTORY.format("target-directory"),
        ),
        (
            "stop",
            {},
            NO_DIRECTORY.format("targetDirectory"),
        ),
        ("stop", {"targetDirectory": 5}, "Bad request: 'targetDirectory' must be a text."),
        (
            "stop",
            {"targetDirectory": "/s", "drain": "yes"},
            "Bad request: 'drain' must be true or false.",
        ),
        (
            "stop",
            {"targetDirectory": "/s", "formatType": "ZIP"},
            "Bad request: 'formatType' must be one of CANONICAL, NATIVE.",
        ),
        (
            "stop",
            {"targetDirectory": "/s", "triggerId": "x"},
            "Bad request: 'x' is no trigger id: 32 hexadecimal digits.",
        ),
        ("stop", [1], "Bad request: the body must be an object of JSON."),
        ("stop", b"{", "Bad request: the body is no JSON."),
    ],
)
def test_bad_bodies(site, token, path, body, text):
    refused = site.ask("POST", f"/jobs/{JOB}/{path}", body, token=token)
    assert (refused.status, refused.json) == (400, {"errors": [text]})
    assert site.watch.asked == []


def test_the_configured_directory_is_enough(site, token):
    site.watch.answer = {"path": "file:///savepoints/savepoint-1"}
    site.watch.found[0]["checkpointing"]["savepoint_directory"] = "file:///savepoints"
    assert site.ask("POST", f"/jobs/{JOB}/stop", token=token).status == 202


@pytest.mark.parametrize("path", ["savepoints", "stop", "checkpoints"])
def test_a_job_that_does_not_run(site, token, path):
    body = {"target-directory": "/s", "targetDirectory": "/s"}
    unknown = site.ask("POST", f"/jobs/{'1' * 32}/{path}", body, token=token)
    assert (unknown.status, unknown.json) == (404, {"errors": [f"Job {'1' * 32} not found"]})
    site.watch.found[0].update(status="FINISHED", ended_ms=9_000)
    over = site.ask("POST", f"/jobs/{JOB}/{path}", body, token=token)
    assert over.json == {"errors": [f"Job {JOB} is not running: it is FINISHED."]}
    missing = site.get(f"/jobs/{JOB}/savepoints/{TRIGGER}")
    assert (missing.status, missing.json["errors"]) == (
        404,
        [f"There is no savepoint operation with triggerId={TRIGGER} for job {JOB}."],
    )


def test_operations_are_forgotten(site):
    operations = site.operations
    keys = [("savepoint", JOB, f"{number:032x}") for number in range(310)]
    for key in keys:
        operations.begin(key, lambda: 1)
        assert operations.find(key).done.wait(PATIENCE_SECONDS)
    site.clock.advance(1)
    assert operations.find(keys[9]) is None
    assert operations.find(keys[10]).result == 1
    site.clock.advance(300_001)
    assert operations.find(keys[-1]) is None


def test_too_many_at_once(site, token):
    release = threading.Event()
    for number in range(32):
        site.operations.begin(
            ("savepoint", JOB, f"{number:032x}"), lambda: release.wait(PATIENCE_SECONDS)
        )
    body = {"target-directory": "/s"}
    refused = site.ask("POST", f"/jobs/{JOB}/savepoints", body, token=token)
    assert refused.status == 503
    release.set()


def test_what_a_job_refuses_at_once_is_an_error(site, token):
    site.watch.answer = CheckpointError("The job is over.")
    refused = site.ask("PATCH", f"/jobs/{JOB}", token=token)
    assert (refused.status, refused.json) == (500, {"errors": ["The job is over."]})


def test_a_savepoint_is_disposed_of(site, token, monkeypatch):
    disposed = []
    monkeypatch.setattr(changes, "dispose_savepoint", disposed.append)
    begun = site.ask("POST", "/savepoint-disposal", {"savepoint-path": "file:///s/1"}, token=token)
    assert begun.status == 202
    trigger_id = begun.json["request-id"]
    operation = site.operations.find(("savepoint-disposal", "", trigger_id))
    assert operation.done.wait(PATIENCE_SECONDS)
    assert disposed == ["file:///s/1"]
    polled = site.get(f"/v1/savepoint-disposal/{trigger_id}")
    assert (polled.status, polled.json) == (
        200,
        {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": None}},
    )
    assert site.watch.asked == []


def test_what_is_no_savepoint_is_not_disposed_of(site, token, tmp_path):
    (tmp_path / "precious").write_text("data")
    begun = site.ask("POST", "/savepoint-disposal", {"savepoint-path": str(tmp_path)}, token=token)
    trigger_id = begun.json["request-id"]
    operation = site.operations.find(("savepoint-disposal", "", trigger_id))
    assert operation.done.wait(PATIENCE_SECONDS)
    cause = site.get(f"/savepoint-disposal/{trigger_id}").json["operation"]["failure-cause"]
    assert cause["class"] == "millpond.errors.CheckpointNotFoundError"
    assert "holds no _metadata" in cause["stack-trace"]
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Field savepoint-path must not be omitted or be null."),
        ({"savepoint-path": ""}, "Field savepoint-path must not be omitted or be null."),
        ({"savepoint-path": ["/s"]}, "Bad request: 'savepoint-path' must be a text."),
        ({"savepoint-path": "s/1"}, "Bad request: 's/1' is no absolute path, and no URL."),
    ],
)
def test_a_disposal_without_a_path(site, token, body, text):
    refused = site.ask("POST", "/savepoint-disposal", body, token=token)
    assert (refused.status, refused.json) == (400, {"errors": [text]})


def test_a_disposal_needs_the_token_and_a_known_host(site, token, monkeypatch):
    monkeypatch.setattr(changes, "dispose_savepoint", pytest.fail)
    body = {"savepoint-path": "/s/1"}
    assert site.ask("POST", "/savepoint-disposal", body).status == 401
    refused = site.ask("POST", "/savepoint-disposal", body, token=token, host="evil.example")
    assert refused.status == 403
    unknown = site.get(f"/savepoint-disposal/{TRIGGER}")
    assert (unknown.status, unknown.json["errors"]) == (
        404,
        [f"There is no savepoint-disposal operation with triggerId={TRIGGER}."],
    )
