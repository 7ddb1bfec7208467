"""PyFlink's module of streams."""

from __future__ import annotations

from millpond.datastream.streams.cached import CachedDataStream
from millpond.datastream.streams.closeable_iterator import CloseableIterator
from millpond.datastream.streams.connected import (
    BroadcastConnectedStream,
    BroadcastStream,
    ConnectedStreams,
)
from millpond.datastream.streams.interval_join import IntervalJoin, IntervalJoined
from millpond.datastream.streams.joined import CoGroupedStreams, JoinedStreams
from millpond.datastream.streams.keyed import KeyedStream
from millpond.datastream.streams.plain import DataStream
from millpond.datastream.streams.sink import DataStreamSink
from millpond.datastream.streams.windowed import AllWindowedStream, WindowedStream

__all__ = (
    "AllWindowedStream",
    "BroadcastConnectedStream",
    "BroadcastStream",
    "CachedDataStream",
    "CloseableIterator",
    "CoGroupedStreams",
    "ConnectedStreams",
    "DataStream",
    "DataStreamSink",
    "IntervalJoin",
    "IntervalJoined",
    "JoinedStreams",
    "KeyedStream",
    "WindowedStream",
)
