"""Copies of a job's checkpoint files on this machine, which a replaced worker restores from.

The rules are Flink's local recovery (TaskLocalStateStoreImpl): the copies are secondary, only those
of the latest confirmed checkpoint stay, and whatever goes wrong with them fails nothing.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import uuid
from typing import TYPE_CHECKING, BinaryIO, final

from millpond.checkpoint.checksum import RunningChecksum
from millpond.filesystem.hard_link import hard_link
from millpond.filesystem.owner import OWNER_FILE_NAME
from millpond.filesystem.path import name_of
from millpond.formats.handles import InlineHandle, RelativeFileHandle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.reader import CheckpointReader
    from millpond.formats.handles import StreamHandle
    from millpond.state.contract.snapshot import SnapshotOutput, SnapshotScope, SnapshotStreams

__all__ = ("DuplicatingStreams", "LocalCopies", "LocalFirstReader")

_logger = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20
_UNFINISHED = ".inprogress"


def _local_name(handle: StreamHandle) -> str | None:
    """Return the name of a copy: that of the file, which is random; None for inline handles."""
    if isinstance(handle, InlineHandle):
        return None
    return handle.name if isinstance(handle, RelativeFileHandle) else name_of(handle.path)


@final
class LocalCopies:
    """One job's directory of copies. Safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._used: dict[int, set[str]] = {}
        with _unimportant():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # One worker of a job follows another: who wrote these was killed.
            for path in directory.glob(f".*{_UNFINISHED}"):
                path.unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Return where the copy of a file is, or would be."""
        return self._directory / name

    def new_path(self) -> Path:
        """Return a place for a copy that is not finished."""
        return self._directory / f".{uuid.uuid4().hex}{_UNFINISHED}"

    def note_used(self, checkpoint_id: int, streams: Iterable[StreamHandle]) -> None:
        """Remember which files a checkpoint consists of."""
        names = {name for name in map(_local_name, streams) if name is not None}
        with self._lock:
            self._used.setdefault(checkpoint_id, set()).update(names)

    def confirm(self, checkpoint_id: int) -> None:
        """A checkpoint is complete: only its files, and those of newer ones, stay."""
        with self._lock:
            if checkpoint_id not in self._used:
                return
            self._used = {
                number: names for number, names in self._used.items() if number >= checkpoint_id
            }
            needed = set().union(*self._used.values())
        with _unimportant():
            for path in self._directory.iterdir():
                is_kept = path.name in needed or path.name == OWNER_FILE_NAME
                if not is_kept and not path.name.startswith("."):
                    path.unlink(missing_ok=True)

    def give_up(self, checkpoint_id: int) -> None:
        """A checkpoint failed; its files go when the next one is confirmed."""
        with self._lock:
            self._used.pop(checkpoint_id, None)


@final
class DuplicatingStreams:
    """Writes every file of a snapshot twice; a `SnapshotStreams`."""

    def __init__(self, streams: SnapshotStreams, copies: LocalCopies) -> None:
        self._streams = streams
        self._copies = copies

    def open(self, scope: SnapshotScope) -> SnapshotOutput:
        """Start a new stream."""
        return _DuplicatingOutput(self._streams.open(scope), self._copies)

    def upload(self, path: Path, scope: SnapshotScope) -> StreamHandle:
        """Copy a finished local file; the second copy is a hard link where that can be."""
        handle = self._streams.upload(path, scope)
        name = _local_name(handle)
        if name is not None:
            target = self._copies.path(name)
            with _unimportant():
                if not hard_link(path, target):
                    shutil.copyfile(path, target)
        return handle


@final
class _DuplicatingOutput:
    def __init__(self, output: SnapshotOutput, copies: LocalCopies) -> None:
        self._output = output
        self._copies = copies
        self._path = copies.new_path()
        self._file: BinaryIO | None = None
        with _unimportant():
            self._file = self._path.open("wb")

    def write(self, data: bytes) -> None:
        self._output.write(data)
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                _logger.warning("No local copy of a file of the checkpoint: %s", error)
                self._drop()

    @property
    def position(self) -> int:
        return self._output.position

    def finish(self) -> StreamHandle | None:
        try:
            handle = self._output.finish()
        except BaseException:
            self._drop()
            raise
        name = None if handle is None else _local_name(handle)
        if name is None or self._file is None:
            self._drop()
        else:
            with _unimportant():
                self._file.close()
                self._path.rename(self._copies.path(name))
        return handle

    def abort(self) -> None:
        self._drop()
        self._output.abort()

    def _drop(self) -> None:
        file, self._file = self._file, None
        with _unimportant():
            if file is not None:
                file.close()
            self._path.unlink(missing_ok=True)


@final
class LocalFirstReader:
    """Reads the copy of a file where it is here and right, else the file; a `SnapshotReader`.

    Attributes:
        local_reads: how many files came from this machine.
    """

    def __init__(
        self,
        reader: CheckpointReader,
        copies: LocalCopies,
        checksums: Mapping[str, FileChecksum],
    ) -> None:
        self._reader = reader
        self._copies = copies
        self._checksums = checksums
        self.local_reads = 0

    @property
    def has_checksums(self) -> bool:
        """Whether checksums vouch for the bytes."""
        return self._reader.has_checksums

    def open(self, handle: StreamHandle) -> BinaryIO:
        """Open a stream for reading; raises as `CheckpointReader.open`."""
        path = self._right_copy(handle)
        if path is not None:
            try:
                return path.open("rb")
            except OSError as error:
                _logger.warning("The local copy %s cannot be read: %s", path, error)
        return self._reader.open(handle)

    def download(self, handle: StreamHandle, path: Path, *, may_link: bool = False) -> None:
        """Copy a stream to a local file, or link it; raises as `CheckpointReader.download`."""
        copy = self._right_copy(handle)
        if copy is not None:
            try:
                if not (may_link and hard_link(copy, path)):
                    shutil.copyfile(copy, path)
            except OSError as error:
                _logger.warning("The local copy %s cannot be used: %s", copy, error)
                path.unlink(missing_ok=True)
            else:
                return
        self._reader.download(handle, path, may_link=may_link)

    def _right_copy(self, handle: StreamHandle) -> Path | None:
        if isinstance(handle, InlineHandle):
            return None
        recorded = handle.name if isinstance(handle, RelativeFileHandle) else handle.path
        expected = self._checksums.get(recorded)
        path = self._copies.path(_local_name(handle) or "")
        if expected is None or expected.crc32c is None:
            return None
        try:
            found = RunningChecksum()
            with path.open("rb") as file:
                while data := file.read(_CHUNK_BYTES):
                    found.update(data)
        except FileNotFoundError:
            return None
        except OSError as error:
            _logger.warning("The local copy %s cannot be read: %s", path, error)
            return None
        if found.value() != expected:
            _logger.warning("The local copy %s is damaged; using the checkpoint's file.", path)
            return None
        self.local_reads += 1
        return path


@contextlib.contextmanager
def _unimportant() -> Iterator[None]:
    """Log what goes wrong with copies, and go on."""
    try:
        yield
    except OSError as error:
        _logger.warning("Local copies of the checkpoint: %s", error)
