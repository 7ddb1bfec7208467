"""Serializers of windows; a keyed state's namespace has the same bytes."""

from __future__ import annotations

import struct
from typing import BinaryIO, final

from millpond.common.serializer import TypeSerializer
from millpond.datastream._windows.window import CountWindow, GlobalWindow, TimeWindow

__all__ = ("CountWindowSerializer", "GlobalWindowSerializer", "TimeWindowSerializer")

_TWO_LONGS = struct.Struct(">qq")
_LONG = struct.Struct(">q")


@final
class TimeWindowSerializer(TypeSerializer[TimeWindow]):
    """A time window as start and end, 8 bytes each."""

    def serialize(self, element: TimeWindow, stream: BinaryIO) -> None:
        """Write a window."""
        stream.write(_TWO_LONGS.pack(element.start, element.end))

    def deserialize(self, stream: BinaryIO) -> TimeWindow:
        """Read a window."""
        return TimeWindow(*_TWO_LONGS.unpack(stream.read(16)))


@final
class CountWindowSerializer(TypeSerializer[CountWindow]):
    """A count window as its id, 8 bytes."""

    def serialize(self, element: CountWindow, stream: BinaryIO) -> None:
        """Write a window."""
        stream.write(_LONG.pack(element.id))

    def deserialize(self, stream: BinaryIO) -> CountWindow:
        """Read a window."""
        return CountWindow(*_LONG.unpack(stream.read(8)))


@final
class GlobalWindowSerializer(TypeSerializer[GlobalWindow]):
    """The global window as one byte 0."""

    def serialize(self, element: GlobalWindow, stream: BinaryIO) -> None:
        """Write the window."""
        stream.write(b"\0")

    def deserialize(self, stream: BinaryIO) -> GlobalWindow:
        """Read the window."""
        stream.read(1)
        return GlobalWindow.get()
