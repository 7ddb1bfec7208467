"""`DataStreamSink`: the end of a stream."""

from __future__ import annotations

from typing import final

from millpond.datastream.streams.named import NamedStream

__all__ = ("DataStreamSink",)


@final
class DataStreamSink(NamedStream):
    """An operator without output."""
