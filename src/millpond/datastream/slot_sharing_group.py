"""Slot sharing groups and memory sizes, as PyFlink names them."""

from __future__ import annotations

from functools import total_ordering
from typing import final

from millpond.common import option_type
from millpond.errors import ConfigurationError, InvalidProgramError

__all__ = ("MemorySize", "SlotSharingGroup")


@final
@total_ordering
class MemorySize:
    """A number of bytes.

    Example:
        >>> MemorySize.of_mebi_bytes(64).get_bytes()
        67108864
    """

    __slots__ = ("_bytes",)

    def __init__(self, bytes_size: int | None = None) -> None:
        """Make a size; None is 0 bytes.

        Raises:
            ConfigurationError: the number is negative.
        """
        self._bytes = bytes_size or 0
        if self._bytes < 0:
            raise ConfigurationError(f"A memory size must be at least 0, not {bytes_size}.")

    @staticmethod
    def of_mebi_bytes(mebi_bytes: int) -> MemorySize:
        """Make a size of so many MiB."""
        return MemorySize(mebi_bytes * 1024**2)

    @staticmethod
    def parse(text: str) -> MemorySize:
        """Read a size such as ``64 mb``, as in a configuration file.

        Raises:
            ConfigurationError: the text is no size.
        """
        try:
            return MemorySize(option_type.MEMORY_SIZE.read(text))
        except ValueError as error:
            raise ConfigurationError(f"'{text}' is no memory size: {error}.") from None

    def get_bytes(self) -> int:
        """Return the bytes."""
        return self._bytes

    def get_kibi_bytes(self) -> int:
        """Return the whole KiB."""
        return self._bytes >> 10

    def get_mebi_bytes(self) -> int:
        """Return the whole MiB."""
        return self._bytes >> 20

    def get_gibi_bytes(self) -> int:
        """Return the whole GiB."""
        return self._bytes >> 30

    def get_tebi_bytes(self) -> int:
        """Return the whole TiB."""
        return self._bytes >> 40

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MemorySize) and self._bytes == other._bytes

    def __lt__(self, other: MemorySize) -> bool:
        return self._bytes < other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return f"MemorySize({self._bytes})"

    def __str__(self) -> str:
        return f"{self._bytes} bytes"


@final
class _Builder:
    """Collects the resources of a slot sharing group."""

    __slots__ = (
        "_cpu_cores",
        "_external_resources",
        "_managed_memory",
        "_name",
        "_task_heap_memory",
        "_task_off_heap_memory",
    )

    def __init__(self, name: str) -> None:
        self._name = name
        self._cpu_cores: float | None = None
        self._task_heap_memory: MemorySize | None = None
        self._task_off_heap_memory: MemorySize | None = None
        self._managed_memory: MemorySize | None = None
        self._external_resources: dict[str, float] = {}

    def set_cpu_cores(self, cpu_cores: float) -> _Builder:
        """Set the processor cores.

        Raises:
            InvalidProgramError: not greater than 0.
        """
        if cpu_cores <= 0:
            raise InvalidProgramError(f"Processor cores must be greater than 0, not {cpu_cores}.")
        self._cpu_cores = float(cpu_cores)
        return self

    def set_task_heap_memory(self, task_heap_memory: MemorySize) -> _Builder:
        """Set the heap memory.

        Raises:
            InvalidProgramError: not greater than 0.
        """
        if task_heap_memory.get_bytes() == 0:
            raise InvalidProgramError("The task heap memory must be greater than 0.")
        self._task_heap_memory = task_heap_memory
        return self

    def set_task_heap_memory_mb(self, task_heap_memory_mb: int) -> _Builder:
        """Set the heap memory in MiB."""
        return self.set_task_heap_memory(MemorySize.of_mebi_bytes(task_heap_memory_mb))

    def set_task_off_heap_memory(self, task_off_heap_memory: MemorySize) -> _Builder:
        """Set the memory outside the heap."""
        self._task_off_heap_memory = task_off_heap_memory
        return self

    def set_task_off_heap_memory_mb(self, task_off_heap_memory_mb: int) -> _Builder:
        """Set the memory outside the heap in MiB."""
        return self.set_task_off_heap_memory(MemorySize.of_mebi_bytes(task_off_heap_memory_mb))

    def set_managed_memory(self, managed_memory: MemorySize) -> _Builder:
        """Set the managed memory."""
        self._managed_memory = managed_memory
        return self

    def set_managed_memory_mb(self, managed_memory_mb: int) -> _Builder:
        """Set the managed memory in MiB."""
        return self.set_managed_memory(MemorySize.of_mebi_bytes(managed_memory_mb))

    def set_external_resource(self, name: str, value: float) -> _Builder:
        """Set the amount of an external resource.

        Raises:
            InvalidProgramError: not greater than 0.
        """
        if value <= 0:
            raise InvalidProgramError(f"The amount of '{name}' must be greater than 0.")
        self._external_resources[name] = value
        return self

    def build(self) -> SlotSharingGroup:
        """Return the group.

        Raises:
            InvalidProgramError: resources are given without cores and heap memory.
        """
        optional = (
            self._task_off_heap_memory,
            self._managed_memory,
            self._external_resources or None,
        )
        required = (self._cpu_cores, self._task_heap_memory)
        if any(value is not None for value in (*optional, *required)):
            if None in required:
                raise InvalidProgramError(
                    f"The resources of slot sharing group '{self._name}' need both cpu cores and "
                    "task heap memory."
                )
            zero = MemorySize()
            return SlotSharingGroup(
                self._name,
                self._cpu_cores,
                self._task_heap_memory,
                self._task_off_heap_memory or zero,
                self._managed_memory or zero,
                self._external_resources,
            )
        return SlotSharingGroup(self._name)


@final
class SlotSharingGroup:
    """A named group of operators with the resources of its slots.

    All tasks of an embedded job share one process, so the group is kept as a description: it
    reaches a real Flink cluster and changes nothing here.
    """

    Builder = _Builder

    __slots__ = (
        "_cpu_cores",
        "_external_resources",
        "_managed_memory",
        "_name",
        "_task_heap_memory",
        "_task_off_heap_memory",
    )

    def __init__(
        self,
        name: str,
        cpu_cores: float | None = None,
        task_heap_memory: MemorySize | None = None,
        task_off_heap_memory: MemorySize | None = None,
        managed_memory: MemorySize | None = None,
        external_resources: dict[str, float] | None = None,
    ) -> None:
        self._name = name
        self._cpu_cores = cpu_cores
        self._task_heap_memory = task_heap_memory
        self._task_off_heap_memory = task_off_heap_memory
        self._managed_memory = managed_memory
        self._external_resources = dict(external_resources or {})

    def get_name(self) -> str:
        """Return the name."""
        return self._name

    def get_managed_memory(self) -> MemorySize | None:
        """Return the managed memory, or None if no resources are given."""
        return self._managed_memory

    def get_task_heap_memory(self) -> MemorySize | None:
        """Return the heap memory, or None if no resources are given."""
        return self._task_heap_memory

    def get_task_off_heap_memory(self) -> MemorySize | None:
        """Return the memory outside the heap, or None if no resources are given."""
        return self._task_off_heap_memory

    def get_cpu_cores(self) -> float | None:
        """Return the processor cores, or None if no resources are given."""
        return self._cpu_cores

    def get_external_resources(self) -> dict[str, float]:
        """Return amounts of external resources by name."""
        return dict(self._external_resources)

    @staticmethod
    def builder(name: str) -> _Builder:
        """Start a group."""
        return _Builder(name)
