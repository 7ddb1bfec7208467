"""Reading a remote file in chunks: several under way at once, each tried again by itself."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.checkpoint.storage_failure import Retry
    from millpond.filesystem import FileSystem

__all__ = ("CHUNK_BYTES", "PARALLEL_CHUNKS", "read_chunks")

# Large enough that a request's latency does not matter, small enough to be sent again.
CHUNK_BYTES = 4 << 20
PARALLEL_CHUNKS = 4


def read_chunks(file_system: FileSystem, path: str, size: int, retry: Retry) -> Iterator[bytes]:
    """Yield the content of a file in order; a byte more than `size` where it is longer.

    At most `PARALLEL_CHUNKS` chunks are in memory. A chunk that fails for a passing reason is asked
    for again, so that a long file does not start over.

    Raises:
        OSError: a chunk could not be read in all tries.
    """
    starts = range(0, size, CHUNK_BYTES)

    def read(start: int) -> bytes:
        # A byte more shows a file that has grown; behind a whole chunk it would be an error.
        end = min(start + CHUNK_BYTES, size + 1)
        return retry.call(lambda: file_system.read_range(path, start, end))

    if len(starts) == 1:
        yield read(0)
    if len(starts) < 2:
        return
    with ThreadPoolExecutor(PARALLEL_CHUNKS, "millpond-read") as pool:
        waiting: deque[Future[bytes]] = deque()
        try:
            for start in starts:
                waiting.append(pool.submit(read, start))
                if len(waiting) == PARALLEL_CHUNKS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for chunk in waiting:
                chunk.cancel()
