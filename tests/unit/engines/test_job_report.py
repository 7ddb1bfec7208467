"""The report of a job, at every point of its life."""

from __future__ import annotations

import json

import pytest

from millpond.common import Types, WatermarkStrategy
from millpond.common.configuration import Configuration
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.engines.embedded import EmbeddedEngine
from millpond.engines.job_report import job_report, without_secrets
from millpond.runtime.job_listener import JobListener
from millpond.testing.snapshot_executor import ImmediateExecutor
from millpond.testing.ticking_clock import TickingClock

FAILED = []


class Counting(KeyedProcessFunction):
    """Counts, and fails once at a record if the job's parameters say so."""

    def open(self, runtime_context):
        self.fails_at = int(runtime_context.get_job_parameter("fails-at", "-1"))
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        self.count.update((self.count.value() or 0) + 1)
        if value == self.fails_at and not FAILED:
            FAILED.append(value)
            raise ValueError(f"{value} <b>is</b> too much")
        yield value


class Itself(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value


class Run:
    """A job that is stepped through, with its report after every step."""

    def __init__(self, tmp_path, options=None, parameters=None):
        FAILED.clear()
        self.clock = TickingClock()
        engine = EmbeddedEngine(clock=self.clock, executor=ImmediateExecutor(), job_id="0b5e" * 8)
        settings = {
            "state.backend.type": "rocksdb",
            "execution.checkpointing.incremental": "true",
            "execution.checkpointing.interval": "10 ms",
            "execution.checkpointing.dir": tmp_path.as_uri(),
            "io.tmp.dirs": str(tmp_path / "temporary"),
            "millpond.batch-size": "10",
            "parallelism.default": "2",
            "restart-strategy.type": "fixed-delay",
            "s3.secret-key": "hush",
            **(options or {}),
        }
        with LaunchWith(Launch(engine)):
            env = StreamExecutionEnvironment.get_execution_environment(
                Configuration.from_dict({k: v for k, v in settings.items() if v is not None})
            )
            env.get_config().set_global_job_parameters({"fails-at": "-1", **(parameters or {})})
            strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(
                Itself()
            )
            numbers = env.from_source(CollectionSource(list(range(1000))), strategy, "numbers").uid(
                "numbers"
            )
            counted = numbers.key_by(lambda value: value % 7, Types.LONG()).process(Counting())
            counted.name("count").uid("count").filter(lambda value: False).uid("none").print().uid(
                "print"
            )
            program = env._take_program("the <job>")
        self.run = engine._open(program, JobListener())
        self.manager = self.run.manager

    def report(self, checkpoints=1000):
        report = job_report(
            self.manager, self.run.job_id, 5, self.clock.now_ms(), checkpoints=checkpoints
        )
        assert json.loads(json.dumps(report)) == report
        return report

    def reports(self):
        with self.run:
            yield self.report()
            for _ in self.manager.steps():
                yield self.report()
        yield self.report()


def of(vertices, name):
    return [subtask[name] for vertex in vertices for subtask in vertex["subtasks"]]


def test_a_calm_job(tmp_path, capsys):
    first, *others, last = Run(tmp_path).reports()
    assert (first["status"], first["job_id"], first["name"]) == ("CREATED", "0b5e" * 8, "the <job>")
    assert set(of(first["vertices"], "status")) == {"CREATED"}
    assert set(of(first["vertices"], "records_read")) == {None}
    assert first["checkpoints"]["latest"] == dict.fromkeys(
        ("completed", "savepoint", "failed", "restored")
    )
    assert {status for one in others for status in of(one["vertices"], "status")} >= {"RUNNING"}
    middle = others[len(others) // 2]
    assert middle["ended_ms"] is None
    assert last["status"] == "FINISHED"
    assert last["ended_ms"] == last["status_times"]["FINISHED"] > last["status_times"]["RUNNING"]
    source, counting = last["vertices"]
    assert source["name"] == "numbers"
    assert counting["name"] == "count -> Filter -> Print to Std. Out"
    assert counting["inputs"] == [{"id": source["id"], "ship_strategy": "HASH"}]
    assert [each["uid"] for each in counting["operators"]] == ["count", "none", "print"]
    assert (counting["parallelism"], counting["max_parallelism"]) == (2, 128)
    assert set(of([source, counting], "status")) == {"FINISHED"}
    assert sum(of([source], "records_read")) == sum(of([source], "records_written")) == 1000
    assert sum(of([counting], "records_read")) == 1000
    assert of([counting], "records_written") == [0, 0]
    watermarks = [
        max(of(each["vertices"], "watermark_ms"), key=lambda w: w or 0) for each in others
    ]
    assert 990 <= max(each for each in watermarks if each is not None) <= 999
    # What event time's end says is no time.
    assert set(of([counting], "watermark_ms")) == {None}
    assert (last["failures"], last["restarts"], last["records"]) == ([], 0, 1000)
    assert last["configuration"]["s3.secret-key"] == "******"
    assert last["job_parameters"]["fails-at"] == "-1"
    assert last["restart_strategy"] == ("Restart with fixed delay (1000 ms). #1 restart attempts.")


def test_its_checkpoints(tmp_path, capsys):
    run = Run(tmp_path)
    *_, last = run.reports()
    settings = last["checkpointing"]
    assert (settings["mode"], settings["interval_ms"]) == ("EXACTLY_ONCE", 10)
    assert settings["state_backend"] == "EmbeddedRocksDBStateBackend"
    assert (settings["storage"], settings["incremental"]) == ("FileSystemCheckpointStorage", True)
    found = last["checkpoints"]
    counts = found["counts"]
    assert counts["completed"] == counts["total"] == len(found["history"]) > 3
    assert (counts["failed"], counts["in_progress"], counts["restored"]) == (0, 0, 0)
    newest = found["history"][0]
    assert newest == found["latest"]["completed"]
    assert newest["checkpoint_id"] == counts["total"]
    assert newest["external_path"].endswith(f"/chk-{counts['total']}")
    source, counting = newest["tasks"]
    assert [task["id"] for task in newest["tasks"]] == [each["id"] for each in last["vertices"]]
    for subtask in counting["subtasks"]:
        assert 0 < subtask["checkpointed_bytes"] <= subtask["state_bytes"]
        assert newest["trigger_ms"] <= subtask["acknowledged_ms"] <= newest["ended_ms"]
    assert len(source["subtasks"]) == 2
    summary = found["summary"]["checkpointed_bytes"]
    sizes = [
        sum(one["checkpointed_bytes"] for task in each["tasks"] for one in task["subtasks"])
        for each in found["history"]
    ]
    assert (summary["minimum"], summary["maximum"]) == (min(sizes), max(sizes))
    assert [each["checkpoint_id"] for each in run.report(2)["checkpoints"]["history"]] == [
        counts["total"],
        counts["total"] - 1,
    ]
    assert run.report(0)["checkpoints"]["history"] == []


def test_a_job_that_fails_once(tmp_path, capsys):
    reports = list(Run(tmp_path, parameters={"fails-at": "700"}).reports())
    last = reports[-1]
    assert (last["status"], last["restarts"], last["failure_count"]) == ("FINISHED", 1, 1)
    (failure,) = last["failures"]
    assert failure["class_name"] == "ValueError"
    assert "700 <b>is</b> too much" in failure["text"]
    assert failure["traceback"].rstrip().endswith(failure["text"].rstrip())
    assert "process_element" in failure["traceback"]
    assert (failure["operator"], failure["subtask"][-2:]) == ("count", "/2")
    assert last["status_times"]["RESTARTING"] < last["status_times"]["RUNNING"]
    restored = last["checkpoints"]["latest"]["restored"]
    assert last["checkpoints"]["counts"]["restored"] == 1
    assert restored["external_path"].endswith(f"/chk-{restored['checkpoint_id']}")
    assert restored["is_savepoint"] is False
    # Numbers of tasks are those of the latest attempt; the job's own go back to the beginning.
    assert sum(of(last["vertices"][:1], "records_read")) < 1000 == last["records"]


def test_a_job_that_fails(tmp_path, capsys):
    options = {"restart-strategy.type": "none"}
    *_, last = Run(tmp_path, options, {"fails-at": "300"}).reports()
    assert (last["status"], last["restart_strategy"]) == ("FAILED", "Restart deactivated.")
    # Only the task that failed is blamed.
    assert sorted(of(last["vertices"][1:], "status")) == ["CANCELED", "FAILED"]
    assert set(of(last["vertices"][:1], "status")) == {"CANCELED"}
    (failure,) = last["failures"]
    index = int(failure["subtask"].partition("/")[0]) - 1
    assert last["vertices"][1]["subtasks"][index]["status"] == "FAILED"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"restart-strategy.type": "failure-rate"},
            "Failure rate restart with maximum of 1 failures within interval 60000 ms",
        ),
        (
            {"restart-strategy.type": "exponential-delay"},
            "Restart with exponential delay (1000 ms to 60000 ms).",
        ),
        (
            {"restart-strategy.type": None},
            "Restart with exponential delay (1000 ms to 60000 ms) while checkpoints complete",
        ),
    ],
)
def test_restart_strategies_are_named(tmp_path, options, text):
    run = Run(tmp_path, options)
    assert run.report()["restart_strategy"].startswith(text)
    with run.run:
        pass


def test_secrets_are_hidden():
    entries = {"fs.S3A.Secret.Key": "a", "my.password": "b", "sasl.jaas.config": "c", "plain": "d"}
    assert without_secrets(entries) == {
        "fs.S3A.Secret.Key": "******",
        "my.password": "******",
        "plain": "d",
        "sasl.jaas.config": "******",
    }
