"""Snapshot streams that end as files, or as inline handles when they are small."""

from __future__ import annotations

import tempfile
import threading
import uuid
from random import SystemRandom
from typing import TYPE_CHECKING, BinaryIO, cast, final

from millpond.checkpoint.checksum import FileChecksum, RunningChecksum
from millpond.checkpoint.storage_failure import Retry, delete_quietly, reported
from millpond.filesystem.path import is_plain_name, join, name_of
from millpond.formats.handles import FileHandle, InlineHandle, RelativeFileHandle, StreamHandle
from millpond.state.contract.snapshot import SnapshotScope

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from millpond.filesystem import FileSystem, FileSystemResolver, OutputFile

__all__ = ("COPY_CHUNK_BYTES", "FileSnapshotStreams")

COPY_CHUNK_BYTES = 1 << 20
_SPOOL_BYTES = 16 << 20


@final
class FileSnapshotStreams:
    """Streams of one subtask's part of one checkpoint (FsCheckpointStreamFactory).

    Exclusive streams up to the threshold become inline handles; longer ones become files beside
    `_metadata`, recorded by name. Shared ones are always files, recorded by absolute URL. Safe for
    several threads.
    """

    __slots__ = (
        "_buffer_bytes",
        "_checksums",
        "_directory",
        "_file_system",
        "_inline_threshold_bytes",
        "_lock",
        "_names_may_repeat",
        "_random",
        "_retry",
        "_shared",
    )

    def __init__(
        self,
        directory: str,
        shared_directory: str | None,
        *,
        inline_threshold_bytes: int,
        buffer_bytes: int,
        resolve: FileSystemResolver,
        random: Random,
        retry: Retry,
    ) -> None:
        self._file_system, self._directory = resolve(directory)
        self._shared = resolve(shared_directory) if shared_directory is not None else None
        self._inline_threshold_bytes = inline_threshold_bytes
        self._buffer_bytes = buffer_bytes
        self._random = random
        self._names_may_repeat = not isinstance(random, SystemRandom)
        self._retry = retry
        self._lock = threading.Lock()
        self._checksums: dict[str, FileChecksum] = {}

    @property
    def checksums(self) -> dict[str, FileChecksum]:
        """Every file finished so far: by name, shared ones by URL. For the acknowledgement."""
        with self._lock:
            return dict(self._checksums)

    @property
    def directory_url(self) -> str:
        """The checkpoint's directory."""
        return self._file_system.url(self._directory)

    def open(self, scope: SnapshotScope) -> _FileOutput | _SpooledOutput:
        """Start a new stream; no file is created before it outgrows its buffer.

        A stream to another machine is collected in a temporary file, in memory up to 16 MiB, and
        sent when it is finished: only so can it be sent again.
        """
        threshold = self._inline_threshold_bytes
        if scope is SnapshotScope.SHARED and self._shared is not None:
            threshold = -1
        file_system, _ = self._place(scope)
        if not file_system.is_local:
            return _SpooledOutput(self, scope, threshold)
        return _FileOutput(self, scope, threshold, self._buffer_bytes)

    def upload(self, path: Path, scope: SnapshotScope) -> StreamHandle:
        """Copy a finished local file, trying again after passing failures.

        Raises:
            CheckpointStorageError: it cannot be read or written.
        """
        # The disk that is full, or may not be written, is nearly always the checkpoint's.
        file_system, directory = self._place(scope)
        with (
            reported(
                "copy a file into the checkpoint",
                file_system.url(directory),
                local_file=str(path),
            ),
            path.open("rb") as source,
        ):
            return self.send(source, scope)

    def send(self, source: BinaryIO, scope: SnapshotScope) -> StreamHandle:
        """Copy an open file from its start, trying again after passing failures.

        Raises:
            OSError: it cannot be read or written.
        """
        return self._retry.call(lambda: self._copy(source, scope))

    def discard(self) -> None:
        """Delete every file finished so far, for a snapshot that is not acknowledged."""
        with self._lock:
            names, self._checksums = list(self._checksums), {}
        for name in names:
            if is_plain_name(name):
                delete_quietly(self._file_system, join(self._directory, name))
            elif self._shared is not None:
                file_system, directory = self._shared
                delete_quietly(file_system, join(directory, name_of(name)))

    def new_name(self) -> str:
        """Return a random name."""
        with self._lock:
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _copy(self, source: BinaryIO, scope: SnapshotScope) -> StreamHandle:
        source.seek(0)
        file = self.create(scope)
        try:
            while data := source.read(COPY_CHUNK_BYTES):
                file.write(data)
            file.output.publish()
        except BaseException:
            file.output.discard()
            raise
        return self.record(file)

    def create(self, scope: SnapshotScope) -> _NewFile:
        """Start a new file. Raises OSError."""
        file_system, directory = self._place(scope)
        name = self.new_name()
        # A seeded source starts over after a restart; its names may be taken.
        while self._names_may_repeat and file_system.exists(join(directory, name)):
            name = self.new_name()
        path = join(directory, name)
        is_shared = scope is SnapshotScope.SHARED and self._shared is not None
        return _NewFile(file_system, path, file_system.url(path), None if is_shared else name)

    def _place(self, scope: SnapshotScope) -> tuple[FileSystem, str]:
        """Return where files of this scope go."""
        shared = self._shared if scope is SnapshotScope.SHARED else None
        return shared or (self._file_system, self._directory)

    def record(self, file: _NewFile) -> StreamHandle:
        """Note the checksum of a published file and return its handle."""
        checksum = file.checksum.value()
        with self._lock:
            self._checksums[file.url if file.name is None else file.name] = checksum
        if file.name is None:
            return FileHandle(file.url, checksum.size)
        return RelativeFileHandle(file.name, checksum.size)


@final
class _NewFile:
    """A file being written; `name` is None for a shared one."""

    __slots__ = ("checksum", "name", "output", "url")

    def __init__(self, file_system: FileSystem, path: str, url: str, name: str | None) -> None:
        self.url = url
        self.name = name
        self.checksum = RunningChecksum()
        self.output: OutputFile = file_system.create(path)

    def write(self, data: bytes) -> None:
        self.output.write(data)
        self.checksum.update(data)


@final
class _FileOutput:
    __slots__ = (
        "_buffer",
        "_buffer_bytes",
        "_file",
        "_position",
        "_scope",
        "_streams",
        "_threshold",
    )

    def __init__(
        self, streams: FileSnapshotStreams, scope: SnapshotScope, threshold: int, buffer_bytes: int
    ) -> None:
        self._streams = streams
        self._scope = scope
        self._threshold = threshold
        self._buffer_bytes = buffer_bytes
        self._buffer = bytearray()
        self._position = 0
        self._file: _NewFile | None = None

    def write(self, data: bytes) -> None:
        self._buffer += data
        self._position += len(data)
        if len(self._buffer) > self._buffer_bytes:
            self._spill()

    @property
    def position(self) -> int:
        return self._position

    def finish(self) -> StreamHandle | None:
        if not self._position:
            return None
        if self._file is None and self._position <= self._threshold:
            return InlineHandle(bytes(self._buffer), self._streams.new_name())
        file = self._spill()
        with reported("write a file of the checkpoint", file.url):
            file.output.publish()
        return self._streams.record(file)

    def abort(self) -> None:
        self._buffer.clear()
        if self._file is not None:
            self._file.output.discard()

    def _spill(self) -> _NewFile:
        file = self._file
        if file is None:
            with reported("create a file of the checkpoint", self._streams.directory_url):
                file = self._file = self._streams.create(self._scope)
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            with reported("write a file of the checkpoint", file.url):
                file.write(data)
        return file


@final
class _SpooledOutput:
    __slots__ = ("_position", "_scope", "_spool", "_streams", "_threshold")

    def __init__(self, streams: FileSnapshotStreams, scope: SnapshotScope, threshold: int) -> None:
        self._streams = streams
        self._scope = scope
        self._threshold = threshold
        self._position = 0
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - kept open
        # It is a binary file in all but name.
        self._spool = cast("BinaryIO", spool)

    def write(self, data: bytes) -> None:
        with reported("collect a file of the checkpoint", tempfile.gettempdir()):
            self._spool.write(data)
        self._position += len(data)

    @property
    def position(self) -> int:
        return self._position

    def finish(self) -> StreamHandle | None:
        with self._spool as spool:
            if not self._position:
                return None
            if self._position <= self._threshold:
                spool.seek(0)
                return InlineHandle(spool.read(), self._streams.new_name())
            with reported("write a file of the checkpoint", self._streams.directory_url):
                return self._streams.send(spool, self._scope)

    def abort(self) -> None:
        self._spool.close()
