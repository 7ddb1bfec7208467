"""Slot sharing groups and memory sizes."""

from __future__ import annotations

import pytest

from millpond.datastream.slot_sharing_group import MemorySize, SlotSharingGroup
from millpond.errors import ConfigurationError, InvalidProgramError


def test_memory_sizes() -> None:
    size = MemorySize.of_mebi_bytes(2048)
    assert (size.get_kibi_bytes(), size.get_mebi_bytes()) == (2048 * 1024, 2048)
    assert (size.get_gibi_bytes(), size.get_tebi_bytes()) == (2, 0)
    assert MemorySize() < MemorySize(1)
    assert MemorySize.parse("2 gb") == size
    assert hash(MemorySize(1)) == hash(MemorySize(1))
    assert str(MemorySize(5)) == "5 bytes"
    with pytest.raises(ConfigurationError, match="at least 0"):
        MemorySize(-1)
    with pytest.raises(ConfigurationError, match="no memory size"):
        MemorySize.parse("much")


def test_a_group_without_resources() -> None:
    group = SlotSharingGroup.builder("g").build()
    assert group.get_name() == "g"
    assert group.get_cpu_cores() is None
    assert group.get_managed_memory() is None
    assert group.get_external_resources() == {}


def test_a_group_with_resources() -> None:
    assert isinstance(SlotSharingGroup.builder("g"), SlotSharingGroup.Builder)
    builder = SlotSharingGroup.builder("g").set_cpu_cores(1.5).set_task_heap_memory_mb(100)
    builder.set_task_off_heap_memory_mb(200).set_managed_memory_mb(300)
    group = builder.set_external_resource("gpu", 1.0).build()
    assert group.get_cpu_cores() == 1.5
    assert group.get_task_heap_memory() == MemorySize.of_mebi_bytes(100)
    assert group.get_task_off_heap_memory() == MemorySize.of_mebi_bytes(200)
    assert group.get_managed_memory() == MemorySize.of_mebi_bytes(300)
    assert group.get_external_resources() == {"gpu": 1.0}


def test_incomplete_and_impossible_resources_are_refused() -> None:
    with pytest.raises(InvalidProgramError, match="both cpu cores and task heap memory"):
        SlotSharingGroup.builder("g").set_cpu_cores(1).build()
    with pytest.raises(InvalidProgramError):
        SlotSharingGroup.builder("g").set_cpu_cores(0)
    with pytest.raises(InvalidProgramError):
        SlotSharingGroup.builder("g").set_task_heap_memory(MemorySize())
    with pytest.raises(InvalidProgramError):
        SlotSharingGroup.builder("g").set_external_resource("gpu", 0)
