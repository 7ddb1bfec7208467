from __future__ import annotations

import gc
import logging
import random
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.rocksdb_memory import MemorySharing, RocksDBMemory
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import ConfigurationError
from millpond.state.rocksdb.memory import (
    SlotMemories,
    StoreMemory,
    arena_fits,
    mutable_limit_bytes,
)
from millpond.state.rocksdb.settings import ColumnFamilySettings
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024


def _memory(total: int, *, partitioned: bool = False) -> RocksDBMemory:
    return RocksDBMemory(MemorySharing.SLOT, total, 0.5, 0.1, partitioned)


def test_objects_take_half_of_the_cache_beside_write_buffers() -> None:
    memory = StoreMemory(_memory(512 * MIB))
    assert memory.object_bytes == int((_memory(512 * MIB).cache_bytes - 178956970) * 0.5)
    assert memory.buffers is not None


def test_write_buffers_and_arenas_shrink_with_the_budget() -> None:
    for total, write_buffer, arena in ((4 * MIB, 349525, 4096), (64 * MIB, 5592405, 86016)):
        settings = StoreMemory(_memory(total)).adapt(ColumnFamilySettings())
        assert settings.write_buffer_size_bytes == write_buffer
        assert settings.arena_block_size_bytes == arena
    large = StoreMemory(_memory(4096 * MIB)).adapt(ColumnFamilySettings())
    assert large.write_buffer_size_bytes == 64 * MIB


def test_configured_arenas_and_smaller_write_buffers_stay() -> None:
    settings = ColumnFamilySettings(write_buffer_size_bytes=MIB, arena_block_size_bytes=8192)
    adapted = StoreMemory(_memory(64 * MIB)).adapt(settings)
    assert adapted.write_buffer_size_bytes == MIB
    assert adapted.arena_block_size_bytes == 8192


def test_without_sharing_nothing_is_adapted() -> None:
    memory = StoreMemory(RocksDBMemory(MemorySharing.NONE, 0, 0.5, 0.1, True))
    settings = ColumnFamilySettings()
    assert memory.buffers is None
    assert memory.adapt(settings) is settings


def test_illegal_memory_control_parameters_are_refused() -> None:
    for pairs in (
        {"write-buffer-ratio": "1.0"},
        {"write-buffer-ratio": "0.0"},
        {"high-prio-pool-ratio": "0"},
        {"write-buffer-ratio": "0.9", "high-prio-pool-ratio": "0.5"},
    ):
        configuration = Configuration()
        for name, value in pairs.items():
            configuration.set_string(f"state.backend.rocksdb.memory.{name}", value)
        with pytest.raises(ConfigurationError):
            RocksDBStateStore(configuration)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    harness = BackendHarness(RocksDBStateStore(memory=_memory(8 * MIB)), tmp_path)
    yield harness
    harness.close()


def test_backends_share_the_objects_budget(harness: BackendHarness) -> None:
    descriptor = ValueStateDescriptor("value", Types.LONG())
    backends = [harness.create() for _ in range(3)]
    states = [state_of(backend, descriptor) for backend in backends]
    for backend, state in zip(backends, states, strict=True):
        for key in range(100):
            backend.current_key = key
            state.update(key)
        backend.end_batch()
    shared = states[0].cache_entries
    backends[1].close()
    backends[2].close()
    backends[0].end_batch()
    assert states[0].cache_entries > 2 * shared > 5_000


def test_caches_write_buffers_and_objects_keep_to_a_small_budget(harness: BackendHarness) -> None:
    descriptor = ValueStateDescriptor("value", Types.STRING())
    backends = [harness.create() for _ in range(3)]
    states = [state_of(backend, descriptor) for backend in backends]
    buffers = harness._store.memory.buffers
    write_buffers = _memory(8 * MIB).write_buffer_manager_bytes
    rng = random.Random(1)
    before = _resident_bytes()
    allowed = 0
    for number in range(60_000):
        backend, state = backends[number % 3], states[number % 3]
        backend.current_key = rng.randrange(1 << 40)
        state.update("x" * 100)
        if number % 2000 == 0:
            assert buffers.write_buffer_usage_bytes() <= 1.5 * write_buffers
            assert buffers.cache_usage_bytes() <= 1.15 * 8 * MIB
            # What was cached before the first write taught the true size goes with the next turn.
            allowed = max(allowed, state.cache_entries)
            assert len(state._dirty) + len(state._clean) <= 2 * allowed
    # Generous here, because other tests of the process left free memory behind or took it.
    assert _resident_bytes() - before < 16 * MIB


def test_calculate_rocksdb_mutable_limit() -> None:
    assert mutable_limit_bytes(64 * MIB) == 56 * MIB
    assert mutable_limit_bytes(0) == 0


def test_validate_arena_block_size(caplog: pytest.LogCaptureFixture) -> None:
    manager = _memory(24 * MIB).write_buffer_manager_bytes
    assert manager == 8 * MIB
    assert arena_fits(7 * MIB, manager)
    assert not arena_fits(7 * MIB + 1, manager)
    memory = StoreMemory(_memory(24 * MIB))
    memory.adapt(ColumnFamilySettings(arena_block_size_bytes=7 * MIB))
    assert caplog.text == ""
    memory.adapt(ColumnFamilySettings(arena_block_size_bytes=8 * MIB))
    assert "every block causes a flush" in caplog.text


def test_create_shared_resources_with_expected_capacity() -> None:
    memory = StoreMemory(_memory(24 * MIB))
    buffers = memory.buffers
    assert buffers is not None
    assert buffers.capacity_bytes + memory.object_bytes == 20 * MIB == memory.memory.cache_bytes
    assert memory.object_bytes == 6 * MIB


def test_get_column_family_options_with_partitioned_index(tmp_path: Path) -> None:
    store = RocksDBStateStore(
        Configuration.from_dict({"state.backend.rocksdb.use-bloom-filter": "true"}),
        memory=_memory(8 * MIB, partitioned=True),
    )
    harness = BackendHarness(store, tmp_path)
    effective = harness.create().database.effective_options()["default"]
    assert effective["index_type"] == "kTwoLevelIndexSearch"
    assert effective["partition_filters"] == "true"
    assert effective["pin_top_level_index_and_filter"] == "true"
    harness.close()


def test_get_db_options_with_shared_resources(tmp_path: Path) -> None:
    harness = BackendHarness(RocksDBStateStore(memory=_memory(8 * MIB)), tmp_path)
    backend = harness.create()
    effective = backend.database.effective_options()["default"]
    assert effective["cache_index_and_filter_blocks"] == "true"
    assert effective["pin_l0_filter_and_index_blocks_in_cache"] == "true"
    before = harness._store.memory.buffers.write_buffer_usage_bytes()
    backend.database.column_family("default").write([(b"key", b"x" * 300_000)])
    assert harness._store.memory.buffers.write_buffer_usage_bytes() >= before + 300_000
    harness.close()


def test_free_shared_resources_after_close(tmp_path: Path) -> None:
    store = RocksDBStateStore(memory=_memory(8 * MIB))
    harness = BackendHarness(store, tmp_path)
    harness.create()
    shared = weakref.ref(store.memory)
    harness.close()
    del harness, store
    gc.collect()
    assert shared() is None


def test_each_slot_has_its_own_memory_and_subtasks_of_a_slot_share_it() -> None:
    memories = SlotMemories(_memory(8 * MIB), slots=2)
    first, second = memories.of_subtask(0), memories.of_subtask(1)
    assert first is not second
    assert first.buffers is not second.buffers
    assert memories.of_subtask(2) is first
    assert memories.of_subtask(3) is second


def test_the_databases_of_a_slot_share_one_cache(tmp_path: Path) -> None:
    options = {
        "taskmanager.numberOfTaskSlots": "2",
        "state.backend.rocksdb.memory.fixed-per-slot": "8mb",
    }
    harness = BackendHarness(RocksDBStateStore(Configuration.from_dict(options)), tmp_path)
    capacities = [
        backend.database.column_family("default").number("rocksdb.block-cache-capacity")
        for backend in harness.subtasks(2)
    ]
    assert capacities == [harness._store.memory.buffers.capacity_bytes] * 2
    harness.close()


def test_fixed_memory_of_the_worker_is_one_for_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = {
        "state.backend.rocksdb.memory.managed": "false",
        "state.backend.rocksdb.memory.fixed-per-tm": "8mb",
        "taskmanager.numberOfTaskSlots": "2",
    }
    first = RocksDBStateStore(Configuration.from_dict(options))
    second = RocksDBStateStore(Configuration.from_dict(options))
    shared = first.memory
    assert second.memory is shared
    assert second._memories.of_subtask(1) is shared
    larger = {**options, "state.backend.rocksdb.memory.fixed-per-tm": "16mb"}
    assert RocksDBStateStore(Configuration.from_dict(larger)).memory is shared
    assert "those stay" in caplog.text
    alive = weakref.ref(shared)
    first.close()
    second.close()
    del first, second, shared
    gc.collect()
    assert alive() is None
    assert RocksDBStateStore(Configuration.from_dict(larger)).memory.memory.total_bytes == 16 * MIB


def test_without_shared_memory_each_family_has_its_own_cache(tmp_path: Path) -> None:
    options = {
        "state.backend.rocksdb.memory.managed": "false",
        "state.backend.rocksdb.block.cache-size": "3mb",
    }
    harness = BackendHarness(RocksDBStateStore(Configuration.from_dict(options)), tmp_path)
    backend = harness.create()
    state_of(backend, ValueStateDescriptor("value", Types.LONG()))
    database = backend.database
    for name in database.column_family_names:
        assert database.column_family(name).number("rocksdb.block-cache-capacity") == 3 * MIB
    assert database.effective_options()["default"]["cache_index_and_filter_blocks"] == "false"
    harness.close()


def test_the_container_is_the_default_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.store.container_memory_bytes", lambda: 1000 * MIB)
    assert RocksDBStateStore().memory.memory.total_bytes == 280 * MIB


def test_what_becomes_of_the_high_priority_pool_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    configuration = Configuration.from_dict(
        {"state.backend.rocksdb.memory.high-prio-pool-ratio": "0.23"}
    )
    with caplog.at_level(logging.INFO, "millpond.state.rocksdb"):
        for _ in range(2):
            RocksDBStateStore(configuration)
    assert caplog.text.count("'state.backend.rocksdb.memory.high-prio-pool-ratio' is 0.23") == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text().split()[1]) * 4096
