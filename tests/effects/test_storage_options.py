"""Where snapshots go and what they are made of."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from millpond.common import Types
from millpond.common.job_status import JobStatus
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import MillpondError
from millpond.filesystem import get_file_system
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

JOB = "0b5e" * 8


def cancel_after(steps):
    def act(step, manager):
        if step == steps:
            manager.cancel()

    return act


def names(paths):
    return [path.rpartition("/")[2] for path in paths]


@pytest.mark.option("state.backend.type")
@pytest.mark.option("execution.checkpointing.incremental")
@pytest.mark.parametrize("spelling", ["state.backend", "state.backend.type"])
def test_the_backend_and_incremental_checkpoints(make_mill, spelling):
    def written(**options):
        mill = make_mill()
        mill.run(
            {"state.backend.type": None, spelling: options.pop("backend"), **options},
            act=cancel_after(80),
            check=False,
        )
        return [path for path in mill.paths() if path.endswith(".sst") or "/shared/" in path]

    incremental = {"execution.checkpointing.incremental": "true"}
    assert written(backend="hashmap") == []
    assert written(backend="rocksdb") == []
    assert written(backend="rocksdb", **incremental) != []


@pytest.mark.option("execution.checkpointing.storage")
def test_the_storage(make_mill):
    def state_files(storage):
        mill = make_mill()
        mill.run({"execution.checkpointing.storage": storage}, act=cancel_after(80), check=False)
        return [path for path in mill.paths() if not path.rpartition("/")[2].startswith("_")]

    assert state_files("filesystem") != []
    # The job manager's memory: all state stands inline in the metadata.
    assert state_files("jobmanager") == []


@pytest.mark.option("execution.checkpointing.dir")
@pytest.mark.parametrize("spelling", ["state.checkpoints.dir", "execution.checkpointing.dir"])
def test_the_checkpoint_directory(mill, spelling):
    options = {"execution.checkpointing.dir": None, spelling: "memory:///elsewhere"}
    mill.run(options, act=cancel_after(80), check=False)
    assert mill.paths("/elsewhere") == mill.paths() != []


@pytest.mark.option("execution.checkpointing.savepoint-dir")
@pytest.mark.parametrize(
    "spelling", ["state.savepoints.dir", "execution.checkpointing.savepoint-dir"]
)
def test_the_savepoint_directory(mill, spelling):
    def act(step, manager):
        if step == 5:
            manager.savepoint(None, SnapshotOptions(kind=SnapshotKind.SAVEPOINT))

    mill.run({spelling: "memory:///savepoints"}, act=act)
    assert any(path.endswith("/_metadata") for path in mill.paths("/savepoints"))


@pytest.mark.option("execution.checkpointing.create-subdir")
def test_the_directory_of_the_job(make_mill):
    def metadata(create):
        mill = make_mill()
        mill.run(
            {"execution.checkpointing.create-subdir": create},
            act=cancel_after(80),
            check=False,
        )
        return [path for path in mill.paths() if path.endswith("_metadata")]

    assert all(path.startswith(f"/checkpoints/{JOB}/chk-") for path in metadata("true"))
    assert all(path.startswith("/checkpoints/chk-") for path in metadata("false"))


@pytest.mark.option("execution.checkpointing.num-retained")
@pytest.mark.parametrize("retained", [1, 3])
def test_the_number_of_retained_checkpoints(mill, retained):
    run = mill.run(
        {"execution.checkpointing.num-retained": str(retained)},
        act=cancel_after(80),
        check=False,
    )
    assert run.completed > 3
    assert sum(path.endswith("_metadata") for path in mill.paths()) == retained


class WrittenBy:
    """A value that notes the thread which pickles it."""

    threads = None

    def __reduce__(self):
        WrittenBy.threads.add(threading.get_ident())
        return WrittenBy, ()


class Keeping(KeyedProcessFunction):
    def open(self, runtime_context):
        self.value = runtime_context.get_state(
            ValueStateDescriptor("value", Types.PICKLED_BYTE_ARRAY())
        )

    def process_element(self, value, ctx):
        self.value.update(WrittenBy())


def describe_keeping(env, ledger):
    numbers = env.from_source(CollectionSource(list(range(100))), None, "numbers")
    numbers.key_by(lambda value: value, Types.LONG()).process(Keeping())


@pytest.mark.option("state.backend.async")
@pytest.mark.parametrize("asynchronous", ["true", "false"])
def test_asynchronous_snapshots(mill, asynchronous):
    WrittenBy.threads = set()
    with ThreadPoolExecutor(1) as executor:
        mill.run(
            {"state.backend.async": asynchronous}, describe=describe_keeping, executor=executor
        )
    assert (threading.get_ident() in WrittenBy.threads) == (asynchronous == "false")


@pytest.mark.option("execution.checkpointing.data-inline-threshold")
@pytest.mark.parametrize(
    "spelling",
    ["state.backend.fs.memory-threshold", "execution.checkpointing.data-inline-threshold"],
)
def test_the_inline_threshold(make_mill, spelling):
    def state_files(threshold):
        mill = make_mill()
        options = {"execution.checkpointing.data-inline-threshold": None, spelling: threshold}
        mill.run(options, act=cancel_after(80), check=False)
        return [name for name in names(mill.paths()) if not name.startswith("_")]

    assert state_files("0") != []
    assert state_files("100 kb") == []


class Pieces:
    """A file system that notes how large the pieces are that are written to state files."""

    def __init__(self, inner):
        self._inner = inner
        self.sizes = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def create(self, path):
        out = self._inner.create(path)
        write = out.write

        class Noting:
            def write(_, data):  # noqa: N805
                if not path.rpartition("/")[2].startswith("_"):
                    self.sizes.append(len(data))
                return write(data)

            def __getattr__(_, name):  # noqa: N805
                return getattr(out, name)

        return Noting()


@pytest.mark.option("execution.checkpointing.write-buffer-size")
def test_the_write_buffer(make_mill, tmp_path):
    """Of local files: what goes to another machine is collected first."""

    def pieces_of(size):
        pieces = []

        def resolve(url):
            file_system, path = get_file_system(url)
            pieces.append(Pieces(file_system))
            return pieces[-1], path

        options = {
            "execution.checkpointing.dir": (tmp_path / size).as_uri(),
            "execution.checkpointing.write-buffer-size": size,
        }
        make_mill().run(options, resolve=resolve)
        return sum(len(each.sizes) for each in pieces)

    assert pieces_of("100") > pieces_of("1000000") > 0


@pytest.mark.option("pekko.framesize")
@pytest.mark.parametrize("spelling", ["akka.framesize", "pekko.framesize"])
def test_the_frame_size(mill, spelling):
    options = {"execution.checkpointing.storage": "jobmanager", spelling: "200b"}
    run = mill.run(options, check=False)
    assert run.outcome.status is JobStatus.FAILED
    with pytest.raises(MillpondError, match="frame"):
        raise run.outcome.error


@pytest.mark.option("jobmanager.memory.heap.size")
@pytest.mark.parametrize("spelling", ["jobmanager.heap.size", "jobmanager.memory.heap.size"])
def test_the_memory_of_the_job_manager(mill, spelling):
    options = {"execution.checkpointing.storage": "jobmanager", spelling: "200b"}
    run = mill.run(options, check=False)
    assert run.outcome.status is JobStatus.FAILED
    with pytest.raises(MillpondError, match="job manager's memory takes 200"):
        raise run.outcome.error
