"""`MemorySnapshots`: a place for snapshots in memory, for tests of state backends."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, BinaryIO, final

from millpond.errors import CheckpointStorageError, SnapshotCorruptedError
from millpond.formats.handles import FileHandle, InlineHandle, RelativeFileHandle, StreamHandle

if TYPE_CHECKING:
    from pathlib import Path

    from millpond.state.contract.snapshot import SnapshotScope

__all__ = ("MemoryOutput", "MemorySnapshots")


@final
class MemoryOutput:
    """One stream; a `SnapshotOutput`."""

    def __init__(self, snapshots: MemorySnapshots) -> None:
        self._snapshots = snapshots
        self._buffer = bytearray()
        self._ended = False

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._ended:
            raise CheckpointStorageError("The stream has ended.")
        self._snapshots.before_write(len(data))
        self._buffer += data

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return len(self._buffer)

    def finish(self) -> StreamHandle | None:
        """End the stream; an empty one gives no handle."""
        if self._ended:
            raise CheckpointStorageError("The stream has ended.")
        self._ended = True
        self._snapshots.closed()
        return self._snapshots.keep(bytes(self._buffer)) if self._buffer else None

    def abort(self) -> None:
        """Drop the stream."""
        if not self._ended:
            self._ended = True
            self._snapshots.closed()


@final
class MemorySnapshots:
    """Streams and reader in one: what was written can be read back by its handle.

    Safe for several threads.

    Attributes:
        open_streams: streams that were neither finished nor aborted; 0 when nothing leaks.
        fail_after_bytes: writing more than this raises CheckpointStorageError; None never does.
        gate: writing waits until it is set, so that a test can hold a snapshot open.
    """

    def __init__(self) -> None:
        self.open_streams = 0
        self.fail_after_bytes: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._written = 0
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def open(self, scope: SnapshotScope) -> MemoryOutput:
        """Start a new stream."""
        with self._lock:
            self.open_streams += 1
        return MemoryOutput(self)

    def upload(self, path: Path, scope: SnapshotScope) -> StreamHandle:
        """Take a copy of a local file."""
        return self.keep(path.read_bytes())

    def reader(self) -> MemoryReader:
        """Return a `SnapshotReader` of everything written here."""
        return MemoryReader(self)

    def keep(self, data: bytes) -> StreamHandle:
        """Keep finished bytes and return their handle."""
        with self._lock:
            name = f"memory:/{len(self._files)}"
            self._files[name] = data
        return FileHandle(name, len(data))

    def content(self, handle: StreamHandle) -> bytes:
        """Return the bytes of a handle.

        Raises:
            SnapshotCorruptedError: nothing was written under it.
        """
        if isinstance(handle, InlineHandle):
            return handle.data
        name = handle.name if isinstance(handle, RelativeFileHandle) else handle.path
        with self._lock:
            if name not in self._files:
                raise SnapshotCorruptedError("A file of the snapshot is missing.", path=name)
            return self._files[name]

    def replace(self, handle: StreamHandle, data: bytes) -> None:
        """Damage a stream on purpose."""
        assert isinstance(handle, FileHandle)
        with self._lock:
            self._files[handle.path] = data

    def before_write(self, size: int) -> None:
        """Wait for the gate and fail if that was asked for."""
        self.gate.wait()
        with self._lock:
            self._written += size
            if self.fail_after_bytes is not None and self._written > self.fail_after_bytes:
                raise CheckpointStorageError("The place for snapshots is full, on purpose.")

    def closed(self) -> None:
        """Count a stream that ended."""
        with self._lock:
            self.open_streams -= 1


@final
class MemoryReader:
    """Reads streams of a `MemorySnapshots`; a `SnapshotReader`.

    Attributes:
        has_checksums: False, so that stores examine every entry that they restore.
    """

    has_checksums = False

    def __init__(self, snapshots: MemorySnapshots) -> None:
        self._snapshots = snapshots

    def open(self, handle: StreamHandle) -> BinaryIO:
        """Open a stream for reading."""
        return io.BytesIO(self._snapshots.content(handle))

    def download(self, handle: StreamHandle, path: Path, *, may_link: bool = False) -> None:
        """Copy a stream to a file that does not exist yet."""
        with path.open("xb") as file:
            file.write(self._snapshots.content(handle))
