"""`CacheSink` and `CacheSource`: the records of a cached stream in files of this process.

A file is a sequence of blocks, each with its length and CRC-32; an empty block is the end. Nothing
is synced: the files go with the process that wrote them.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, final

from millpond.datastream.connectors.sink import Sink, SinkWriter
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import ConnectorError, DataFileError, SerializationError
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock
    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.connectors.sink import Committable, SinkWriterContext

__all__ = ("CacheSink", "CacheSource")

_FRAME = struct.Struct(">II")
_COUNT = struct.Struct(">I?")


@final
class CacheSink(Sink):
    """Writes a file for each subtask, under another name until the subtask's input has ended.

    A job that starts anew replaces the files of its earlier attempts; one that goes on from its end
    keeps them. `name` is that of the operator whose records these are, for errors.
    """

    def __init__(self, directory: str, type_info: TypeInformation | None, name: str) -> None:
        self._directory = directory
        self._type_info = type_info
        self._name = name

    def create_writer(self, context: SinkWriterContext, restored: Sequence[Any]) -> SinkWriter:
        """Open the file of one subtask, unless it was written before."""
        if restored:
            return _Written()
        return _Writer(Path(self._directory), context, self._type_info, self._name)

    def commit(self, committables: Sequence[Committable]) -> None:
        """Give files their names."""
        for written, name in committables:
            # What is not there has its name already.
            with suppress(FileNotFoundError):
                Path(self._directory, written).replace(Path(self._directory, name))


@final
class _Written(SinkWriter):
    """The file is complete; nothing comes any more."""

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        raise AssertionError(values)

    def snapshot(self, checkpoint_id: int) -> list[Any]:
        return [True]


@final
class _Writer(SinkWriter):
    def __init__(
        self,
        directory: Path,
        context: SinkWriterContext,
        type_info: TypeInformation | None,
        operator: str,
    ) -> None:
        self._operator = operator
        self._is_written = False
        self._name = f"{context.subtask_index:05}"
        self._path = directory / f".{self._name}-{context.attempt}"
        self._encode = coder_for(type_info).encode
        try:
            self._file: IO[bytes] = self._path.open("wb")
        except OSError as error:
            raise self._unwritten(error) from error

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        encode = self._encode
        count = len(values)
        times = b"" if timestamps is None else struct.pack(f">{count}q", *timestamps)
        try:
            encoded = b"".join(map(encode, values))
        except SerializationError as error:
            raise SerializationError(
                error.message,
                hint="Declare the type that the records of the cached stream have.",
                operator=self._operator,
                **error.context,
            ) from error
        body = _COUNT.pack(count, timestamps is not None) + times + encoded
        try:
            self._file.write(_FRAME.pack(len(body), zlib.crc32(body)))
            self._file.write(body)
            self._file.flush()
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> ConnectorError:
        return ConnectorError(
            f"The records of a cached stream could not be written: {error.strerror}.",
            hint="Make room, or name another place in io.tmp.dirs.",
            path=self._path,
        )

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        if not end_of_input or self._is_written:
            return []
        self.write([], None)
        self.close()
        self._is_written = True
        return [[self._path.name, self._name]]

    def snapshot(self, checkpoint_id: int) -> list[Any]:
        return [True] if self._is_written else []

    def close(self) -> None:
        # What could not be flushed was reported by `write`.
        with suppress(OSError):
            self._file.close()


@final
class CacheSource(Source):
    """Reads what a `CacheSink` wrote: each file in a subtask of the same index."""

    def __init__(self, files: Sequence[str], type_info: TypeInformation | None) -> None:
        self._files = files
        self._type_info = type_info

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return the files."""
        return [Split(path) for path in self._files]

    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Start after so many records."""
        return _Reader(
            Path(split.split_id), self._type_info, position["records"] if position else 0
        )


@final
class _Reader(SplitReader):
    def __init__(self, path: Path, type_info: TypeInformation | None, skip: int) -> None:
        self._path = path
        self._decode = coder_for(type_info).decode_from
        self._waiting = Records([], [])
        self._finished = False
        self._count = 0
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise self._damaged(str(error.strerror)) from error
        while self._count < skip and not self._finished:
            self.read(skip - self._count)

    def read(self, limit: int) -> Records | None:
        if not self._waiting.values and not self._finished:
            self._waiting = self._next_block()
        values, timestamps = self._waiting.values, self._waiting.timestamps
        taken = Records(values[:limit], None if timestamps is None else timestamps[:limit])
        self._waiting = Records(values[limit:], None if timestamps is None else timestamps[limit:])
        self._count += len(taken)
        return taken if taken.values else None

    def _next_block(self) -> Records:
        frame = self._file.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            raise self._damaged("it is cut off")
        length, checksum = _FRAME.unpack(frame)
        body = self._file.read(length)
        if len(body) < length:
            raise self._damaged("it is cut off")
        if zlib.crc32(body) != checksum:
            raise self._damaged("a checksum is wrong")
        count, has_timestamps = _COUNT.unpack_from(body)
        self._finished = count == 0
        offset = _COUNT.size
        timestamps = None
        if has_timestamps:
            timestamps = list(struct.unpack_from(f">{count}q", body, offset))
            offset += 8 * count
        values = []
        for _ in range(count):
            value, offset = self._decode(body, offset)
            values.append(value)
        return Records(values, timestamps)

    def _damaged(self, reason: str) -> DataFileError:
        return DataFileError(
            f"The records of a cached stream cannot be read: {reason}.",
            hint="Call invalidate() on the stream; the next job computes its records again.",
            path=self._path,
        )

    @property
    def finished(self) -> bool:
        return self._finished

    def position(self) -> Mapping[str, Any]:
        return {"records": self._count}

    def close(self) -> None:
        self._file.close()
