"""`CachedDataStream`: a stream whose records are kept for later jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self, final

from millpond.datastream.streams.unnamed import UnnamedStream
from millpond.errors import UnsupportedOperationError
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from millpond.datastream.streams.plain import DataStream

__all__ = ("CachedDataStream",)


@final
class CachedDataStream(UnnamedStream):
    """The records of a stream, computed once: `DataStream.cache` makes it.

    In BATCH mode the first job of the environment that computes the stream keeps its records in
    temporary files, by their declared type or pickled; later jobs read these and leave out what
    computed them. A job that fails, or whose results are not read to their end, keeps nothing. In
    STREAMING mode, as in Flink, nothing is kept, but what is there is read. The files are removed
    by `invalidate`, with the environment's `close`, and when the process ends.
    """

    def __init__(self, stream: DataStream) -> None:
        edge = stream._edges[0]
        if len(stream._edges) > 1 or edge.partitioning is not None:
            raise UnsupportedOperationError(
                "Only the output of one operator can be cached.",
                hint="Call cache() before key_by, union and partitionings.",
            )
        coder_for(stream.get_type())
        self._cache = stream._environment.cache_of(edge, stream.get_type())
        cached = replace(edge, cache=self._cache)
        super().__init__(stream._environment, (cached,), stream._side_type)

    def cache(self) -> Self:
        """Return the stream itself."""
        return self

    def invalidate(self) -> None:
        """Remove the kept records; the next job that uses the stream computes and keeps them."""
        self._cache.invalidate()
