"""`TypeSerializer`: what a user's window assigner offers to write its windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO, Generic, TypeVar, final

__all__ = ("TypeSerializer", "VoidNamespaceSerializer")

T = TypeVar("T")


class TypeSerializer(ABC, Generic[T]):
    """Writes and reads the values of one type, byte for byte Flink's."""

    @abstractmethod
    def serialize(self, element: T, stream: BinaryIO) -> None:
        """Write the value."""

    @abstractmethod
    def deserialize(self, stream: BinaryIO) -> T:
        """Read the value that comes next."""


@final
class VoidNamespaceSerializer(TypeSerializer[bytes]):
    """Writes the namespace of state outside windows: one zero byte."""

    def serialize(self, element: bytes, stream: BinaryIO) -> None:
        """Write the zero byte."""
        stream.write(b"\x00")

    def deserialize(self, stream: BinaryIO) -> bytes:
        """Read the zero byte."""
        return stream.read(1)
