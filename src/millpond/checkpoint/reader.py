"""Reading the streams of a snapshot back, verified."""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final

from millpond.checkpoint.checksum import FileChecksum, RunningChecksum
from millpond.checkpoint.chunked_read import read_chunks
from millpond.checkpoint.file_stream import COPY_CHUNK_BYTES
from millpond.checkpoint.storage_failure import Retry, reported
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem import FileSystem, FileSystemResolver, get_file_system
from millpond.filesystem.hard_link import hard_link
from millpond.filesystem.path import is_plain_name, join
from millpond.formats.handles import FileHandle, InlineHandle, RelativeFileHandle, StreamHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

__all__ = ("CheckpointReader", "SnapshotSource", "check_content", "locate_file")

_SPOOL_BYTES = 16 << 20
FileStreamHandle = FileHandle | RelativeFileHandle


@final
@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """What a reader needs, as plain data that may cross to the worker process.

    Attributes:
        directory: URL of the directory of `_metadata`; None for a checkpoint in memory.
        checksums: by file name or recorded path; None for a snapshot that Flink wrote
            and nobody sealed.
    """

    directory: str | None
    checksums: Mapping[str, FileChecksum] | None

    def reader(
        self,
        *,
        resolve: FileSystemResolver = get_file_system,
        retry: Retry | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> CheckpointReader:
        """Return a reader; `progress` is called with the number of bytes read, in any thread."""
        return CheckpointReader(self, resolve=resolve, retry=retry or Retry(), progress=progress)


@final
class CheckpointReader:
    """Opens streams by handle and verifies length and checksum of each file once.

    Safe for several threads. Files of this machine are read once to verify and then opened;
    others are copied to a temporary file (in memory up to 16 MiB) while they are verified, in
    chunks of which several are under way at once and each is tried again by itself.
    """

    __slots__ = ("_lock", "_progress", "_resolve", "_retry", "_source", "_verified")

    def __init__(
        self,
        source: SnapshotSource,
        *,
        resolve: FileSystemResolver,
        retry: Retry,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._source = source
        self._resolve = resolve
        self._retry = retry
        self._progress = progress
        self._lock = threading.Lock()
        self._verified: set[str] = set()

    @property
    def has_checksums(self) -> bool:
        """Whether checksums vouch for the bytes: of Millpond, or of a seal around Flink's files."""
        return self._source.checksums is not None

    def open(self, handle: StreamHandle) -> BinaryIO:
        """Open a stream for reading; seekable.

        Raises:
            SnapshotCorruptedError: the file is missing, or is not what was written.
            CheckpointStorageError: it cannot be read.
        """
        if isinstance(handle, InlineHandle):
            return io.BytesIO(handle.data)
        file_system, path, expected = self._locate(handle)
        with reported("read a file of the snapshot", file_system.url(path)):
            if not file_system.is_local:
                return self._spooled(file_system, path, expected)
            with self._lock:
                verified = path in self._verified
            if not verified:
                self._transfer(file_system, path, expected, None)
                with self._lock:
                    self._verified.add(path)
            with _missing_is_corrupt(file_system, path):
                return file_system.open_read(path)

    def download(self, handle: StreamHandle, path: Path, *, may_link: bool = False) -> None:
        """Copy a stream to a local file that does not exist yet; it appears only if it is right.

        With `may_link` it is a hard link, verified by reading, where the file system can do that.

        Raises:
            SnapshotCorruptedError: the file is missing, or is not what was written.
            CheckpointStorageError: it cannot be read, or the local file cannot be written.
        """
        if isinstance(handle, InlineHandle):
            with reported("write a local file", str(path)):
                path.write_bytes(handle.data)
            return
        file_system, source, expected = self._locate(handle)
        partial = path.with_name(f"{path.name}.inprogress")

        try:
            with reported(
                "copy a file of the snapshot", file_system.url(source), local_file=str(path)
            ):
                if may_link and file_system.is_local and hard_link(Path(source), partial):
                    self._transfer(file_system, source, expected, None)
                else:
                    with partial.open("wb") as target:
                        self._transfer(file_system, source, expected, target)
                partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)

    def verify(self, handle: StreamHandle) -> int:
        """Read a stream only to verify it, and return its length. Raises as `open`."""
        if isinstance(handle, InlineHandle):
            return handle.size
        file_system, path, expected = self._locate(handle)
        with reported("read a file of the snapshot", file_system.url(path)):
            self._transfer(file_system, path, expected, None)
        return expected.size

    def _locate(self, handle: FileStreamHandle) -> tuple[FileSystem, str, FileChecksum]:
        file_system, path, name = locate_file(handle, self._source.directory, self._resolve)
        checksums = self._source.checksums
        if checksums is None:
            return file_system, path, FileChecksum(handle.size, None)
        expected = checksums.get(name)
        if expected is None or expected.size != handle.size:
            raise SnapshotCorruptedError(
                "The checksum file of the snapshot does not fit its metadata.",
                hint="Restore from another checkpoint or savepoint.",
                path=file_system.url(path),
            )
        return file_system, path, expected

    def _spooled(self, file_system: FileSystem, path: str, expected: FileChecksum) -> BinaryIO:
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - returned
        try:
            self._transfer(file_system, path, expected, spool)
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return spool  # type: ignore[return-value]  # it is a binary file in all but name

    def _transfer(
        self,
        file_system: FileSystem,
        path: str,
        expected: FileChecksum,
        target: BinaryIO | tempfile.SpooledTemporaryFile[bytes] | None,
    ) -> None:
        running = RunningChecksum()
        with _missing_is_corrupt(file_system, path):
            chunks = self._chunks(file_system, path, expected.size)
            with contextlib.closing(chunks):
                for data in chunks:
                    running.update(data)
                    if running.size > expected.size:
                        break
                    if target is not None:
                        target.write(data)
                    if self._progress is not None:
                        self._progress(len(data))
        check_content(running.value(), expected, file_system.url(path))

    def _chunks(self, file_system: FileSystem, path: str, size: int) -> Generator[bytes]:
        if not file_system.is_local:
            yield from read_chunks(file_system, path, size, self._retry)
            return
        with file_system.open_read(path) as source:
            while data := source.read(COPY_CHUNK_BYTES):
                yield data


def locate_file(
    handle: FileStreamHandle, directory: str | None, resolve: FileSystemResolver
) -> tuple[FileSystem, str, str]:
    """Return file system, path, and the key in the checksum file of a handle's file.

    Raises:
        SnapshotCorruptedError: the name leads out of the snapshot's directory.
    """
    if isinstance(handle, FileHandle):
        if ".." in handle.path.split("/"):
            raise _escaping(handle.path, directory)
        file_system, path = resolve(handle.path)
        return file_system, path, handle.path
    if not is_plain_name(handle.name) or directory is None:
        raise _escaping(handle.name, directory)
    file_system, parent = resolve(directory)
    return file_system, join(parent, handle.name), handle.name


def check_content(actual: FileChecksum, expected: FileChecksum, path: str) -> None:
    """Compare what was read with what must be there. Raises SnapshotCorruptedError."""
    reason = None
    if actual.size != expected.size:
        longer = actual.size > expected.size
        reason = "is longer than it was written" if longer else "is truncated"
    elif expected.crc32c is not None and actual.crc32c != expected.crc32c:
        reason = "has the wrong checksum"
    if reason is not None:
        raise SnapshotCorruptedError(
            f"A file of the snapshot {reason}.",
            hint="Restore from another checkpoint or savepoint.",
            path=path,
            expected_size_bytes=expected.size,
            size_bytes=actual.size if actual.size < expected.size else None,
        )


def _escaping(name: str, directory: str | None) -> SnapshotCorruptedError:
    return SnapshotCorruptedError(
        f"The snapshot names a file outside of its directory: {name!r}.",
        hint="Do not use it: it is damaged, or somebody made it to read other files.",
        path=directory,
    )


@contextlib.contextmanager
def _missing_is_corrupt(file_system: FileSystem, path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SnapshotCorruptedError(
            "A file of the snapshot is missing.",
            hint="Restore from another checkpoint or savepoint.",
            path=file_system.url(path),
        ) from error
