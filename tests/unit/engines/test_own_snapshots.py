"""Native savepoints and incremental checkpoints hold what Flink cannot use, all of it."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading

import pytest

from millpond.checkpoint.operator_limits import operator_limits
from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.common.serialization import Encoder
from millpond.datastream import AsyncDataStream, StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink, RollingPolicy
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    AsyncFunction,
    CheckpointedFunction,
    KeyedBroadcastProcessFunction,
    MapFunction,
)
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.engines.control_client import ask_job
from millpond.engines.embedded import EmbeddedEngine
from millpond.state_processor.difference import compare
from millpond.state_processor.savepoint import Savepoint

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")

LAST = 20
MAX_WATERMARK = 2**63 - 1
WATERMARKS = "_async_wait_operator_watermarks_"
RULES = MapStateDescriptor("rules", Types.LONG(), Types.STRING())


@dataclasses.dataclass
class Order:
    number: int
    note: str


class Counting(MapFunction, CheckpointedFunction):
    def __init__(self):
        self.count = 0

    def initialize_state(self, context):
        descriptor = ListStateDescriptor("mapped", Types.LONG())
        self.mapped = context.get_operator_state_store().get_list_state(descriptor)
        self.count = sum(self.mapped.get())

    def snapshot_state(self, context):
        self.mapped.update([self.count])

    def map(self, value):
        self.count += 1
        return value


class Keep(KeyedBroadcastProcessFunction):
    def open(self, runtime_context):
        self.order = runtime_context.get_state(ValueStateDescriptor("order", Types.TYPED(Order)))

    def process_element(self, value, ctx):
        self.order.update(Order(value, "kept"))
        if value == LAST:
            ctx.timer_service().register_event_time_timer(MAX_WATERMARK - 1)
        yield value

    def on_timer(self, timestamp, ctx):
        ended.set()
        return []

    def process_broadcast_element(self, value, ctx):
        ctx.get_broadcast_state(RULES).put(value, None if value % 2 else "even")


class LastStaysOut(AsyncFunction):
    """Never answers for the last number, so that the job stays as it is."""

    async def async_invoke(self, value):
        if value == LAST:
            seen.set()
            await asyncio.Event().wait()
        return [str(value)]


seen = threading.Event()
ended = threading.Event()


def start(directory, backend, savepoint=None):
    seen.clear()
    ended.clear()
    configuration = Configuration()
    options = {
        "state.backend.type": backend,
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.dir": (directory / "checkpoints").as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "io.tmp.dirs": str(directory / "temporary"),
    }
    if savepoint is not None:
        options["execution.state-recovery.path"] = savepoint
    for key, value in options.items():
        configuration.set_string(key, value)
    with LaunchWith(Launch(EmbeddedEngine(controlled=True))):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(1)
        env.enable_checkpointing(3_600_000)
        numbers = env.from_source(
            NumberSequenceSource(0, LAST), WatermarkStrategy.for_monotonous_timestamps(), "numbers"
        ).uid("numbers")
        mapped = numbers.map(Counting(), Types.LONG()).uid("counting")
        kept = (
            mapped.key_by(lambda value: value % 3, Types.LONG())
            .connect(mapped.broadcast(RULES))
            .process(Keep(), Types.LONG())
            .uid("keep")
        )
        answered = AsyncDataStream.unordered_wait(
            kept, LastStaysOut(), Time.hours(1), 100, Types.STRING()
        ).uid("asking")
        sink = (
            FileSink.for_row_format(str(directory / "out"), Encoder.simple_string_encoder())
            .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
            .build()
        )
        answered.sink_to(sink).uid("files")
        client = env.execute_async("job")
    assert seen.wait(120)
    return client


def limits(path):
    savepoint = Savepoint.open(path)
    return {
        limit.state
        for operator in savepoint.operators
        for limit in operator_limits(savepoint.loaded, operator)
    }


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("kind", ["native savepoint", "incremental checkpoint"])
def test_everything_is_restored(kind, backend, tmp_path, tmp_path_factory, monkeypatch):
    # The path of a socket is short by nature.
    monkeypatch.setenv("MILLPOND_JOBS_DIR", str(tmp_path_factory.mktemp("j") / "d"))
    target = (tmp_path / "savepoints").as_uri()
    first = start(tmp_path, backend)
    assert ended.wait(120)
    request = {"command": "checkpoint"}
    if kind == "native savepoint":
        request = {"command": "savepoint", "directory": target, "format": "native"}
    taken = ask_job(str(first.get_job_id()), request)["path"]
    expected = {
        "source-splits",
        "largest-timestamp",
        "mapped",
        "python-state-order",
        "python-state-rules",
        "_async_wait_operator_state_",
        WATERMARKS,
        "sink-writer-states",
        "sink-committables",
    }
    assert limits(taken) == expected
    first.cancel().result()
    second = start(tmp_path, backend, taken)
    restored = second.trigger_savepoint(target).result()
    second.cancel().result()
    assert limits(restored) == expected - {"sink-committables"}
    changes = list(compare(Savepoint.open(taken), Savepoint.open(restored)))
    for change in changes:
        entry = change.first or change.second
        if entry.state.name == WATERMARKS:
            # The source has ended again, and said once more that event time has.
            assert change.first.value == change.second.value
        else:
            # What was pending is committed since; all else is as it was.
            assert entry.state.name in {"sink-committables", "sink-writer-states"}
    written = [each for each in (tmp_path / "out").rglob("*") if each.is_file()]
    lines = [line for each in written for line in each.read_text("utf-8").splitlines()]
    assert sorted(lines, key=int) == [str(number) for number in range(LAST)]
