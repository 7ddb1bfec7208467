"""How much memory RocksDB gets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.effective_configuration import load_configuration
from millpond.configuration.rocksdb_memory import (
    MemorySharing,
    RocksDBMemory,
    managed_memory_bytes,
    managed_memory_fraction,
    rocksdb_memory,
)
from millpond.errors import ConfigurationError

PREFIX = "state.backend.rocksdb.memory."
MEBIBYTE = 1024**2


def _memory(options: dict[str, str], **arguments: bool) -> RocksDBMemory:
    return rocksdb_memory(Configuration.from_dict(options), **arguments)


def test_the_formulas_of_flink() -> None:
    memory = _memory({PREFIX + "fixed-per-slot": "512 mb"})
    assert memory.sharing is MemorySharing.SLOT
    assert memory.cache_bytes == int(2.5 * 512 * MEBIBYTE / 3)
    assert memory.write_buffer_manager_bytes == 512 * MEBIBYTE // 3
    assert memory.cache_bytes / MEBIBYTE == pytest.approx(426.67, abs=0.01)


def test_managed_memory_is_divided_by_slots_and_weights() -> None:
    options = {"taskmanager.memory.managed.size": "100 mb", "taskmanager.numberOfTaskSlots": "2"}
    assert _memory(options).total_bytes == 35 * MEBIBYTE
    assert _memory(options, uses_python=False).total_bytes == 50 * MEBIBYTE


def test_fixed_memory_of_a_slot_wins_then_managed_then_the_worker() -> None:
    options = {
        PREFIX + "fixed-per-slot": "10 mb",
        PREFIX + "fixed-per-tm": "20 mb",
        "taskmanager.memory.managed.size": "100 mb",
    }
    assert _memory(options).total_bytes == 10 * MEBIBYTE
    del options[PREFIX + "fixed-per-slot"]
    assert _memory(options).total_bytes == 70 * MEBIBYTE
    memory = _memory({**options, PREFIX + "managed": "false"})
    assert (memory.sharing, memory.total_bytes) == (MemorySharing.WORKER, 20 * MEBIBYTE)
    assert _memory({PREFIX + "managed": "false"}).sharing is MemorySharing.NONE


def test_managed_memory_of_a_worker() -> None:
    def managed(options: dict[str, str], default: int | None = None) -> int:
        return managed_memory_bytes(Configuration.from_dict(options), default)

    assert managed({}) == 128 * MEBIBYTE
    assert managed({}, 1000 * MEBIBYTE) == 400 * MEBIBYTE
    assert managed({"taskmanager.memory.process.size": "1000 mb"}) == 400 * MEBIBYTE
    both = {"taskmanager.memory.process.size": "9 gb", "taskmanager.memory.flink.size": "100 mb"}
    assert managed(both) == 40 * MEBIBYTE
    assert managed({**both, "taskmanager.memory.managed.fraction": "0.5"}) == 50 * MEBIBYTE
    assert managed({**both, "taskmanager.memory.size": "7 mb"}) == 7 * MEBIBYTE


def test_weights() -> None:
    def fraction(weights: str) -> Decimal:
        key = "taskmanager.memory.managed.consumer-weights"
        return managed_memory_fraction(Configuration.from_dict({key: weights}))

    assert managed_memory_fraction(Configuration()) == Decimal("0.7")
    assert fraction("DATAPROC:70,PYTHON:30") == Decimal("0.7")
    assert fraction("STATE_BACKEND:1,PYTHON:2") == Decimal("0.3333333333333333")
    assert fraction("PYTHON:1") == 0
    assert fraction("OPERATOR:1") == 0


def test_no_weight_gives_rocksdb_no_memory() -> None:
    weights = {"taskmanager.memory.managed.consumer-weights": "PYTHON:1"}
    with pytest.raises(ConfigurationError, match="is 0 bytes") as raised:
        _memory(weights)
    assert raised.value.context["option"] in weights
    with pytest.raises(ConfigurationError, match="is 0 bytes") as raised:
        _memory({"taskmanager.memory.managed.size": "0"})
    assert raised.value.context["option"] == "taskmanager.memory.managed.size"


def test_the_place_of_a_size_that_gives_nothing_is_named() -> None:
    configuration = load_configuration(
        definitions=["state.backend=rocksdb", "taskmanager.memory.managed.size=0"], environment={}
    )
    with pytest.raises(ConfigurationError, match=r"origin: command line -D taskmanager\.memory"):
        configuration.to_configuration()


@pytest.mark.parametrize(
    ("ratio", "pool"), [("0.9", "0.2"), ("0.99", "0.1"), ("0.5", "0.6"), ("0.75", "0.4")]
)
def test_ratios_that_leave_nothing_are_refused(ratio: str, pool: str) -> None:
    with pytest.raises(ConfigurationError, match="must be less than 1"):
        _memory({PREFIX + "write-buffer-ratio": ratio, PREFIX + "high-prio-pool-ratio": pool})


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "1.1"])
@pytest.mark.parametrize("key", ["write-buffer-ratio", "high-prio-pool-ratio"])
def test_ratios_are_between_0_and_1(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match="greater than 0 and less than 1"):
        _memory({PREFIX + key: value})


def test_sizes_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="greater than 0"):
        _memory({PREFIX + "fixed-per-slot": "0"})
