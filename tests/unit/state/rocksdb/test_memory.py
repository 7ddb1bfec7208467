from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.rocksdb_memory import MemorySharing, RocksDBMemory
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import ConfigurationError
from millpond.state.rocksdb.memory import StoreMemory
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
    for backend in backends:
        backend.end_batch()
    alone = states[0].cache_entries
    backends[1].close()
    backends[2].close()
    backends[0].end_batch()
    assert states[0].cache_entries > 2 * alone


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


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text().split()[1]) * 4096
