"""Namespaces: the second coordinate of keyed state; the window for window operators."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.window import CountWindow, GlobalWindow, TimeWindow
from millpond.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = (
    "COUNT_WINDOW",
    "GLOBAL_WINDOW",
    "NAMESPACE_SERIALIZERS",
    "TIME_WINDOW",
    "VOID",
    "VOID_NAMESPACE",
    "NamespaceSerializer",
)

VOID_NAMESPACE: Final = None
"""The namespace of state that belongs to no window."""

_TWO_LONGS = struct.Struct(">qq")
_LONG = struct.Struct(">q")


class NamespaceSerializer(ABC):
    """Encodes namespaces of one kind in a fixed number of bytes.

    Attributes:
        kind: stable name, recorded in snapshots: void, time-window, count-window, global-window.
        length: bytes of an encoded namespace.
        struct_codes: the codes in Python's `struct` of its big-endian numbers; empty if all
            namespaces have the same bytes.
    """

    __slots__ = ()
    kind: str
    length: int
    struct_codes: str = ""

    @abstractmethod
    def encode(self, namespace: Any) -> bytes:
        """Return the bytes of a namespace."""

    @abstractmethod
    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Return the namespace at `offset` and the offset after it."""

    def columns(self, namespaces: Sequence[Any]) -> list[list[int]]:
        """Return the numbers of many namespaces, a list for each code."""
        return []

    def _check(self, data: bytes, offset: int) -> None:
        if offset + self.length > len(data):
            raise FormatError(f"The bytes end inside a {self.kind} namespace.", offset=offset)


@final
class _Void(NamespaceSerializer):
    __slots__ = ()
    kind = "void"
    length = 1

    def encode(self, namespace: Any) -> bytes:
        return b"\0"

    def decode_from(self, data: bytes, offset: int) -> tuple[None, int]:
        self._check(data, offset)
        return None, offset + 1


@final
class _Time(NamespaceSerializer):
    __slots__ = ()
    kind = "time-window"
    length = 16
    struct_codes = "qq"

    def encode(self, namespace: TimeWindow) -> bytes:
        return _TWO_LONGS.pack(namespace.start, namespace.end)

    def decode_from(self, data: bytes, offset: int) -> tuple[TimeWindow, int]:
        self._check(data, offset)
        return TimeWindow(*_TWO_LONGS.unpack_from(data, offset)), offset + 16

    def columns(self, namespaces: Sequence[TimeWindow]) -> list[list[int]]:
        return [[window.start for window in namespaces], [window.end for window in namespaces]]


@final
class _Count(NamespaceSerializer):
    __slots__ = ()
    kind = "count-window"
    length = 8
    struct_codes = "q"

    def encode(self, namespace: CountWindow) -> bytes:
        return _LONG.pack(namespace.id)

    def decode_from(self, data: bytes, offset: int) -> tuple[CountWindow, int]:
        self._check(data, offset)
        return CountWindow(*_LONG.unpack_from(data, offset)), offset + 8

    def columns(self, namespaces: Sequence[CountWindow]) -> list[list[int]]:
        return [[window.id for window in namespaces]]


@final
class _Global(NamespaceSerializer):
    __slots__ = ()
    kind = "global-window"
    length = 1

    def encode(self, namespace: GlobalWindow) -> bytes:
        return b"\0"

    def decode_from(self, data: bytes, offset: int) -> tuple[GlobalWindow, int]:
        self._check(data, offset)
        return GlobalWindow.get(), offset + 1


VOID: Final[NamespaceSerializer] = _Void()
TIME_WINDOW: Final[NamespaceSerializer] = _Time()
COUNT_WINDOW: Final[NamespaceSerializer] = _Count()
GLOBAL_WINDOW: Final[NamespaceSerializer] = _Global()

NAMESPACE_SERIALIZERS: Final = {
    serializer.kind: serializer for serializer in (VOID, TIME_WINDOW, COUNT_WINDOW, GLOBAL_WINDOW)
}
"""By `kind`, for reading snapshots."""
