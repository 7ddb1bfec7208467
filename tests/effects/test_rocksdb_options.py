"""RocksDB's options, seen in the databases that a store opens."""

from __future__ import annotations

import threading

import pytest

from millpond.common import Types
from millpond.common.configuration import Configuration
from millpond.configuration.options.rocksdb import PredefinedOptions
from millpond.datastream.state import ValueStateDescriptor
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

PREFIX = "state.backend.rocksdb."
MIB = 1024 * 1024


@pytest.fixture
def opened(tmp_path):
    """Open the backend of one operator with these options."""
    harnesses = []

    def open_backend(settings, **parameters):
        directory = tmp_path / f"{len(harnesses)}"
        directory.mkdir()
        store = RocksDBStateStore(Configuration.from_dict(settings))
        harness = BackendHarness(store, directory, **parameters)
        harnesses.append(harness)
        backend = harness.create()
        return backend, harness

    yield open_backend
    for harness in harnesses:
        harness.close()


UNMANAGED = {PREFIX + "memory.managed": "false"}
DATABASE = {
    "thread.num": ("7", "max_background_jobs", "7"),
    "files.open": ("900", "max_open_files", "900"),
    "log.max-file-size": ("3 mb", "max_log_file_size", str(3 * MIB)),
    "log.file-num": ("9", "keep_log_file_num", "9"),
    "log.level": ("WARN_LEVEL", "info_log_level", "WARN_LEVEL"),
}
FAMILY = {
    "compaction.style": ("UNIVERSAL", "compaction_style", "kCompactionStyleUniversal"),
    "compaction.level.use-dynamic-size": ("true", "level_compaction_dynamic_level_bytes", "true"),
    "compression.per.level": ("LZ4_COMPRESSION", "compression", "kLZ4Compression"),
    "compaction.level.target-file-size-base": ("9 mb", "target_file_size_base", str(9 * MIB)),
    "compaction.level.max-size-level-base": ("70 mb", "max_bytes_for_level_base", str(70 * MIB)),
    "writebuffer.size": ("5 mb", "write_buffer_size", str(5 * MIB)),
    "writebuffer.count": ("6", "max_write_buffer_number", "6"),
    "writebuffer.number-to-merge": ("3", "min_write_buffer_number_to_merge", "3"),
    "block.blocksize": ("16 kb", "block_size", "16384"),
    "block.metadata-blocksize": ("32 kb", "metadata_block_size", "32768"),
}
NEEDED = {"writebuffer.number-to-merge": {PREFIX + "writebuffer.count": "5"}}
"""RocksDB merges at most all buffers but one."""


def marked(table):
    return [
        pytest.param(key, *row, marks=pytest.mark.option(PREFIX + key))
        for key, row in table.items()
    ]


@pytest.mark.parametrize(("key", "value", "native", "expected"), marked(DATABASE))
def test_options_of_the_database(opened, key, value, native, expected):
    usual, _ = opened(UNMANAGED)
    other, _ = opened({**UNMANAGED, PREFIX + key: value})
    assert usual.database.effective_options()["DBOptions"][native] != expected
    assert other.database.effective_options()["DBOptions"][native] == expected


@pytest.mark.parametrize(("key", "value", "native", "expected"), marked(FAMILY))
def test_options_of_column_families(opened, key, value, native, expected):
    usual, _ = opened(UNMANAGED)
    other, _ = opened({**UNMANAGED, **NEEDED.get(key, {}), PREFIX + key: value})
    state_of(other, ValueStateDescriptor("value", Types.LONG()))
    assert usual.database.effective_options()["default"][native] != expected
    effective = other.database.effective_options()
    for family in other.database.column_family_names:
        assert effective[family][native] == expected


@pytest.mark.option(PREFIX + "use-bloom-filter")
@pytest.mark.option(PREFIX + "bloom-filter.bits-per-key")
def test_bloom_filters(opened):
    def file_size(options):
        backend, _ = opened({**UNMANAGED, **options})
        family = backend.database.column_family("default")
        family.write((b"key %06d" % number, b"") for number in range(20_000))
        family.flush()
        return family.number("rocksdb.total-sst-files-size")

    on = {PREFIX + "use-bloom-filter": "true"}
    without, usual = file_size({}), file_size(on)
    large = file_size({**on, PREFIX + "bloom-filter.bits-per-key": "20"})
    assert usual - without == pytest.approx(20_000 * 10 / 8, rel=0.1)
    assert large - without == pytest.approx(20_000 * 20 / 8, rel=0.1)


@pytest.mark.option(PREFIX + "log.dir")
def test_the_directory_of_the_log(opened, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    opened({PREFIX + "log.dir": str(logs)})
    assert [path for path in logs.iterdir() if "LOG" in path.name] != []


@pytest.mark.option(PREFIX + "predefined-options")
def test_profiles(opened):
    def buffers(profile):
        backend, _ = opened({**UNMANAGED, PREFIX + "predefined-options": profile})
        return backend.database.effective_options()["default"]["max_write_buffer_number"]

    assert buffers("DEFAULT") == "2"
    assert buffers(PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM.name) == "4"


@pytest.mark.option(PREFIX + "options-factory")
def test_the_options_factory(mill, tmp_path, monkeypatch):
    (tmp_path / "my_factories.py").write_text(
        "from millpond.datastream.rocksdb_options_factory import RocksDBOptionsFactory\n"
        "class Jobs(RocksDBOptionsFactory):\n"
        "    asked = 0\n"
        "    def create_db_options(self, current_options, handles_to_close):\n"
        "        Jobs.asked += 1\n"
        "        return current_options\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mill.run({"state.backend.type": "rocksdb", PREFIX + "options-factory": "my_factories.Jobs"})
    import my_factories

    assert my_factories.Jobs.asked == 1


@pytest.mark.option(PREFIX + "localdir")
@pytest.mark.parametrize("spelling", ["state.backend.rocksdb.checkpointdir", PREFIX + "localdir"])
def test_local_directories(mill, tmp_path, spelling):
    first, second = tmp_path / "first", tmp_path / "second"
    mill.run(
        {
            "state.backend.type": "rocksdb",
            "parallelism.default": "2",
            spelling: f"{first},{second}",
        }
    )
    # Each of the two subtasks had its database in another directory; both are clean again.
    assert first.is_dir()
    assert second.is_dir()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def seen_by(harness):
    """Return the sizes that the store shares: of the cache and of the write buffer manager."""
    memory = harness._store.memory
    return None if memory.buffers is None else memory.memory.total_bytes


@pytest.mark.option(PREFIX + "memory.managed")
@pytest.mark.option(PREFIX + "memory.fixed-per-slot")
@pytest.mark.option(PREFIX + "memory.fixed-per-tm")
@pytest.mark.option("taskmanager.memory.managed.size")
def test_memory(opened):
    def total(**options):
        keys = {
            "size": "taskmanager.memory.managed.size",
            "managed": PREFIX + "memory.managed",
            "slot": PREFIX + "memory.fixed-per-slot",
            "worker": PREFIX + "memory.fixed-per-tm",
        }
        return seen_by(opened({keys[name]: value for name, value in options.items()})[1])

    # 70 of 100 parts by the default weights.
    assert total(size="100 mb") == 70 * MIB
    assert total(size="100 mb", slot="30 mb") == 30 * MIB
    assert total(size="100 mb", worker="20 mb") == 70 * MIB
    assert total(managed="false") is None
    assert total(managed="false", worker="20 mb") == 20 * MIB
    assert total(managed="false", worker="20 mb", slot="30 mb") == 30 * MIB


@pytest.mark.option("taskmanager.numberOfTaskSlots")
@pytest.mark.option("taskmanager.memory.process.size")
@pytest.mark.option("taskmanager.memory.flink.size")
@pytest.mark.option("taskmanager.memory.managed.fraction")
@pytest.mark.option("taskmanager.memory.managed.consumer-weights")
def test_managed_memory(opened):
    def total(**options):
        keys = {
            "process": "taskmanager.memory.process.size",
            "flink": "taskmanager.memory.flink.size",
            "fraction": "taskmanager.memory.managed.fraction",
            "weights": "taskmanager.memory.managed.consumer-weights",
            "slots": "taskmanager.numberOfTaskSlots",
        }
        named = {keys[name]: value for name, value in options.items()}
        return seen_by(opened({keys["weights"]: "STATE_BACKEND:70", **named})[1])

    assert total(process="1000 mb") == 400 * MIB
    assert total(process="1000 mb", flink="500 mb") == 200 * MIB
    assert total(process="1000 mb", fraction="0.2") == 200 * MIB
    assert total(process="1000 mb", slots="4") == 100 * MIB
    assert total(process="1000 mb", weights="STATE_BACKEND:30,PYTHON:10") == 300 * MIB


@pytest.mark.option(PREFIX + "memory.write-buffer-ratio")
def test_the_write_buffer_ratio(opened):
    def write_buffers(ratio):
        options = {
            PREFIX + "memory.fixed-per-slot": "90 mb",
            PREFIX + "memory.write-buffer-ratio": ratio,
        }
        backend, _ = opened(options)
        return int(backend.database.effective_options()["default"]["write_buffer_size"])

    assert write_buffers("0.2") < write_buffers("0.5") < write_buffers("0.8")


@pytest.mark.option(PREFIX + "memory.high-prio-pool-ratio")
def test_the_high_priority_pool_is_checked(opened):
    options = {PREFIX + "memory.write-buffer-ratio": "0.5"}
    opened({**options, PREFIX + "memory.high-prio-pool-ratio": "0.5"})
    with pytest.raises(Exception, match="high priority pool"):
        opened({**options, PREFIX + "memory.high-prio-pool-ratio": "0.7"})


@pytest.mark.option(PREFIX + "memory.partitioned-index-filters")
def test_partitioned_index_and_filters(opened):
    backend, _ = opened({PREFIX + "memory.partitioned-index-filters": "true"})
    effective = backend.database.effective_options()["default"]
    assert effective["index_type"] == "kTwoLevelIndexSearch"
    assert effective["partition_filters"] == "true"


@pytest.mark.option(PREFIX + "block.cache-size")
def test_the_block_cache_of_a_column_family(opened):
    def cached(size):
        backend, _ = opened({**UNMANAGED, PREFIX + "block.cache-size": size})
        return backend.database.column_family("default").number("rocksdb.block-cache-capacity")

    assert cached("8 mb") == 8 * MIB
    assert cached("3 mb") == 3 * MIB


@pytest.mark.option(PREFIX + "timer-service.factory")
@pytest.mark.option(PREFIX + "timer-service.cache-size")
def test_where_timers_live(opened):
    def in_memory(**options):
        keys = {"store": "timer-service.factory", "size": "timer-service.cache-size"}
        named = {PREFIX + keys[name]: value for name, value in options.items()}
        backend, _ = opened(named, max_parallelism=1)
        queue = backend.timer_queue("timers", "event", VOID)
        for timestamp in range(20_000):
            queue.add(timestamp, 1, None)
        backend.end_batch()
        return sum(len(group.timers) - group.first for group in queue._groups.values())

    assert in_memory(store="heap") == 20_000
    assert in_memory(store="ROCKSDB", size="100") < 10_000
    assert in_memory(size="100") < in_memory(size="5000") < 20_000


class Noting:
    """A place for snapshots that notes the threads which upload files."""

    def __init__(self, snapshots):
        self._snapshots = snapshots
        self.threads = set()

    def __getattr__(self, name):
        return getattr(self._snapshots, name)

    def upload(self, path, scope):
        self.threads.add(threading.current_thread().name)
        return self._snapshots.upload(path, scope)


@pytest.mark.option(PREFIX + "checkpoint.transfer.thread.num")
@pytest.mark.parametrize(("threads", "own"), [("1", True), ("3", False)])
def test_threads_that_copy_files(opened, threads, own):
    backend, harness = opened(
        {PREFIX + "checkpoint.transfer.thread.num": threads},
        options=SnapshotOptions(incremental=True),
    )
    for name in ("first", "second", "third"):
        state = state_of(backend, ValueStateDescriptor(name, Types.LONG()))
        backend.current_key = 1
        state.update(1)
    harness.snapshots = noting = Noting(harness.snapshots)
    assert harness.snapshot(backend) is not None
    assert (noting.threads == {threading.current_thread().name}) == own


@pytest.mark.option(PREFIX + "write-batch-size")
def test_the_size_of_write_batches(opened, monkeypatch):
    def batches(size):
        backend, _ = opened({PREFIX + "write-batch-size": size})
        written = []
        monkeypatch.setattr(
            type(backend.database),
            "write_batch",
            lambda database, handle, rows, **how: written.append(len(rows)),
        )
        backend.database.column_family("default").write(
            (b"key %06d" % number, b"x" * 90) for number in range(300)
        )
        monkeypatch.undo()
        return len(written)

    assert batches("1 kb") > 20
    assert batches("2 mb") == 1
