"""`InputFile`: the bytes of one input, unpacked, at any offset."""

from __future__ import annotations

import contextlib
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, final

from millpond.errors import DataFileError
from millpond.filesystem import get_file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("InputFile", "is_archive", "reading")


def is_archive(path: str) -> bool:
    """Whether a file holds several inputs of which each has a name."""
    return path.endswith(".zip")


@final
@dataclass(frozen=True, slots=True)
class InputFile:
    """One input: a file, or a member of a zip archive.

    Files whose names end with .gz, .bz2 or .xz are unpacked while they are read; their offsets
    count unpacked bytes, and going to one reads everything before it again.

    Attributes:
        url: path or URL of the file.
        member: name inside of a zip archive, or None.
    """

    url: str
    member: str | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.url if self.member is None else f"{self.url}!{self.member}"

    def open(self, offset: int = 0) -> BinaryIO:
        """Return a stream of unpacked bytes that starts at an offset.

        Raises:
            DataFileError: the file is missing, truncated or damaged before the offset.
        """
        with reading(self.name, "offset", lambda: offset):
            file_system, path = get_file_system(self.url)
            stream = _unpacked(file_system.open_read(path), path, self.member)
            try:
                self._seek(stream, offset)
            except BaseException:
                stream.close()
                raise
            return stream

    def _seek(self, stream: BinaryIO, offset: int) -> None:
        # The end is found by reading: a plain file can be positioned behind it.
        if offset and (stream.seek(offset - 1) != offset - 1 or not stream.read(1)):
            raise DataFileError(
                "An input file is shorter than when the checkpoint was taken.",
                file=self.name,
                offset=offset,
            )


@contextlib.contextmanager
def reading(name: str, what: str, number: Callable[[], int]) -> Iterator[None]:
    """Turn what the standard library raises for bad files into DataFileError.

    `number` tells, when something was raised, at which `what` (line, record …) it was.
    """
    try:
        yield
    except DataFileError:
        raise
    except FileNotFoundError as error:
        raise DataFileError("There is no such input file.", file=name) from error
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise _damaged(name, what, number(), error) from error
    except Exception as error:
        # BadZipFile and LZMAError are looked up by name: importing their modules costs every job.
        if type(error).__name__ not in {"BadZipFile", "LZMAError"}:
            raise
        raise _damaged(name, what, number(), error) from error


def _damaged(name: str, what: str, number: int, error: Exception) -> DataFileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DataFileError(
        f"An input file cannot be read: {reason or type(error).__name__}.",
        hint="The file may be truncated or damaged; fetch it again.",
        file=name,
        **{what: number},
    )


@final
class _Unpacked(io.BufferedReader):
    """An unpacked stream that closes the packed file with itself."""

    def __init__(self, stream: Any, file: BinaryIO) -> None:
        super().__init__(stream, 1 << 16)
        self._file = file

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._file.close()


def _unpacked(file: BinaryIO, path: str, member: str | None) -> BinaryIO:
    try:
        stream = _unpacking(file, path, member)
    except BaseException:
        file.close()
        raise
    return file if stream is file else _Unpacked(stream, file)


def _unpacking(file: BinaryIO, path: str, member: str | None) -> Any:
    if member is not None:
        import zipfile

        with zipfile.ZipFile(file) as archive:
            try:
                return archive.open(member)
            except KeyError as error:
                raise DataFileError(
                    "The archive has no such member.", file=path, member=member
                ) from error
    if path.endswith(".gz"):
        import gzip

        return gzip.GzipFile(fileobj=file)
    if path.endswith(".bz2"):
        import bz2

        return bz2.BZ2File(file)
    if path.endswith(".xz"):
        import lzma

        return lzma.LZMAFile(file)
    return file
