"""A report as a job gives it, an application over it, and requests to that."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, field

import pytest

from millpond.clock import ManualClock
from millpond.errors import JobNotFoundError
from millpond.rest.application import application
from millpond.rest.changes import Changes
from millpond.rest.operations import Operations
from millpond.rest.page import content_security_policy, page
from millpond.rest.protection import Protection
from millpond.rest.reads import Reads
from millpond.rest.settings import RestSettings

JOB = "0b5e" * 8
SOURCE, COUNT = "aa" * 16, "bb" * 16
TOKEN = "a-token-of-32-characters-for-tests"


def metrics(acknowledged_ms, checkpointed, state):
    return {
        "acknowledged_ms": acknowledged_ms,
        "start_delay_ms": 1.4,
        "synchronous_ms": 2.6,
        "asynchronous_ms": 30.2,
        "checkpointed_bytes": checkpointed,
        "state_bytes": state,
        "persisted_in_flight_bytes": 7,
        "is_unaligned": False,
        "alignment_ms": 3.0,
    }


def checkpoint(number, status="COMPLETED", **changes):
    """Checkpoint n was triggered at n thousand; the source has no state to speak of."""
    at = number * 1000
    return {
        "checkpoint_id": number,
        "status": status,
        "is_savepoint": False,
        "savepoint_format": None,
        "incremental": True,
        "unaligned": False,
        "trigger_ms": at,
        "ended_ms": None if status == "IN_PROGRESS" else at + 90,
        "external_path": f"file:///checkpoints/chk-{number}" if status == "COMPLETED" else None,
        "failure": "The disk is full." if status == "FAILED" else None,
        "tasks": [
            {"id": SOURCE, "subtasks": [metrics(at + 40, 10, 10)]},
            {
                "id": COUNT,
                "subtasks": [
                    metrics(at + 60, 100, 1000),
                    metrics(at + 80, 200, 3000) if status == "COMPLETED" else None,
                ],
            },
        ],
        **changes,
    }


def distribution(value):
    names = ("minimum", "maximum", "average", "p50", "p90", "p95", "p99", "p999")
    return dict.fromkeys(names, value)


def subtask(index, read, written, watermark, status="RUNNING"):
    return {
        "index": index,
        "status": status,
        "records_read": read,
        "records_written": written,
        "watermark_ms": watermark,
    }


def make_report(**changes):
    savepoint = checkpoint(
        3, is_savepoint=True, savepoint_format="canonical", external_path="file:///savepoint-1"
    )
    history = [checkpoint(5, "IN_PROGRESS"), checkpoint(4, "FAILED"), savepoint, checkpoint(2)]
    return {
        "job_id": JOB,
        "name": "<script>alert(1)</script> & co",
        "status": "RUNNING",
        "type": "STREAMING",
        "process_id": 77,
        "started_ms": 1_000,
        "ended_ms": None,
        "now_ms": 9_000,
        "status_times": {"CREATED": 1_000, "RUNNING": 1_500},
        "restarts": 1,
        "records": 600,
        "vertices": [
            {
                "id": SOURCE,
                "name": "numbers",
                "parallelism": 1,
                "max_parallelism": 128,
                "is_source": True,
                "operators": [{"id": SOURCE, "name": "numbers", "uid": "numbers"}],
                "inputs": [],
                "started_ms": 1_200,
                "running_ms": 1_500,
                "ended_ms": None,
                "subtasks": [subtask(0, 600, 600, 42, "FINISHED")],
            },
            {
                "id": COUNT,
                "name": "count -> print",
                "parallelism": 2,
                "max_parallelism": 128,
                "is_source": False,
                "operators": [{"id": COUNT, "name": "count", "uid": None}],
                "inputs": [{"id": SOURCE, "ship_strategy": "HASH"}],
                "started_ms": 1_200,
                "running_ms": 1_500,
                "ended_ms": None,
                "subtasks": [subtask(0, 200, 0, 41), subtask(1, None, None, None)],
            },
        ],
        "failures": [
            {
                "timestamp_ms": stamp,
                "class_name": "ValueError",
                "text": "too much",
                "traceback": f"Traceback: {stamp}",
                "operator": operator,
                "subtask": place,
            }
            for stamp, operator, place in ((1_100, None, None), (1_150, "count", "2/2"))
        ],
        "failure_count": 2,
        "configuration": {"parallelism.default": "2", "s3.secret-key": "******"},
        "job_parameters": {"mill": "old"},
        "parallelism": 2,
        "restart_strategy": "Restart deactivated.",
        "checkpointing": {
            "enabled": True,
            "mode": "EXACTLY_ONCE",
            "interval_ms": 1_000,
            "timeout_ms": 600_000,
            "min_pause_ms": 5,
            "max_concurrent": 1,
            "tolerable_failures": 3,
            "retention": "RETAIN_ON_CANCELLATION",
            "unaligned": False,
            "aligned_timeout_ms": 0,
            "state_backend": "EmbeddedRocksDBStateBackend",
            "storage": "FileSystemCheckpointStorage",
            "incremental": True,
            "directory": "file:///checkpoints",
            "savepoint_directory": None,
            "retained": 1,
        },
        "checkpoints": {
            "counts": {
                "total": 5,
                "in_progress": 1,
                "completed": 3,
                "failed": 1,
                "restored": 1,
            },
            "summary": {
                "end_to_end_duration_ms": distribution(90.0),
                "synchronous_ms": distribution(2.6),
                "state_bytes": distribution(4010.0),
                "checkpointed_bytes": distribution(310.0),
                "persisted_in_flight_bytes": distribution(21.0),
            },
            "latest": {
                "completed": checkpoint(2),
                "savepoint": savepoint,
                "failed": checkpoint(4, "FAILED"),
                "restored": {
                    "checkpoint_id": 1,
                    "timestamp_ms": 1_500,
                    "is_savepoint": False,
                    "external_path": "file:///checkpoints/chk-1",
                },
            },
            "history": history,
            "retained": [2],
        },
        **changes,
    }


@dataclass
class StubWatch:
    """Knows these reports, notes what is asked, and answers with what it was given."""

    found: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    answer: object = None

    def reports(self):
        return copy.deepcopy(self.found)

    def report(self, job_id):
        for one in self.found:
            if one["job_id"] == job_id:
                return copy.deepcopy(one)
        raise JobNotFoundError(f"Job {job_id} not found")

    def ask(self, job_id, request):
        self.asked.append((job_id, request))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@dataclass
class Answer:
    status: int
    headers: dict
    content: bytes

    @property
    def json(self):
        return json.loads(self.content)


@dataclass
class Site:
    """The protected application with one job."""

    watch: StubWatch
    clock: ManualClock
    operations: Operations
    protected: Protection

    def ask(
        self, method, path, body=None, *, token=None, host="localhost:8081", headers=(), parts=None
    ):
        path, _, query = path.partition("?")
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = [(b"host", host.encode())] if host is not None else []
        sent += [(name.lower().encode(), value.encode()) for name, value in headers]
        if token is not None:
            sent.append((b"authorization", f"Bearer {token}".encode()))
        if data and not any(name == b"content-type" for name, _ in sent):
            sent.append((b"content-type", b"application/json"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": sent,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8081),
        }
        pieces = list(parts or [data])
        received, messages = [], []

        async def receive():
            piece = pieces.pop(0)
            received.append(piece)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            messages.append(message)

        asyncio.run(self.protected(scope, receive, send))
        start, *rest = messages
        content = b"".join(message.get("body", b"") for message in rest)
        known = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], known, content)

    def get(self, path, **options):
        return self.ask("GET", path, **options)


def make_site(*, is_open=False, names=(), settings=None):
    watch, clock = StubWatch([make_report()]), ManualClock(5_000)
    operations = Operations(clock)
    inner = application(
        Reads(watch, settings or RestSettings(), clock), Changes(watch, operations), page()
    )
    protected = Protection(
        inner, token=TOKEN, names=names, is_open=is_open, policy=content_security_policy()
    )
    return Site(watch, clock, operations, protected)


@pytest.fixture
def site():
    return make_site()


@pytest.fixture(name="make_site")
def make_site_fixture():
    return make_site


@pytest.fixture
def report():
    return make_report()


@pytest.fixture
def token():
    return TOKEN
