"""Which inputs a `FileSource` finds below its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.datastream.connectors._file_source.input_file import InputFile, is_archive, reading
from millpond.errors import DataFileError
from millpond.filesystem import FileSystem, get_file_system

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("FileEnumerator", "FileEnumeratorProvider", "FileSplitAssignerProvider")


@final
class FileEnumerator:
    """Lists the files below paths, and the members of zip archives.

    Directories are walked; names that begin with a dot or an underscore are hidden, as in Flink.
    Files are never split: each is one unit of reading.
    """

    def enumerate(self, paths: Sequence[str], *, missing_allowed: bool = False) -> list[InputFile]:
        """Return the inputs in the order of the paths, by name below each.

        Raises:
            DataFileError: a path does not exist (unless allowed), or an archive is damaged.
        """
        found: dict[str, InputFile] = {}
        for url in paths:
            file_system, path = get_file_system(url)
            entry = file_system.entry(path)
            if entry is None and not missing_allowed:
                raise DataFileError("There is no such input file or directory.", file=url)
            if entry is None:
                continue
            files = _walk(file_system, path) if entry.is_directory else (path,)
            for file in files:
                for input_file in _inputs(file_system, file):
                    found.setdefault(input_file.name, input_file)
        return list(found.values())


def _walk(file_system: FileSystem, directory: str) -> Iterator[str]:
    for entry in file_system.list(directory):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_directory:
            yield from _walk(file_system, entry.path)
        else:
            yield entry.path


def _inputs(file_system: FileSystem, path: str) -> Iterator[InputFile]:
    url = path if file_system.is_local else file_system.url(path)
    if not is_archive(path):
        yield InputFile(url)
        return
    import zipfile

    with reading(url, "offset", lambda: 0), file_system.open_read(path) as file:
        members = zipfile.ZipFile(file).infolist()
    for member in members:
        if not member.is_dir():
            yield InputFile(url, member.filename)


@final
class FileEnumeratorProvider:
    """PyFlink's names for `FileEnumerator`; both read whole files, in parallel to each other."""

    @staticmethod
    def default_splittable_file_enumerator() -> FileEnumerator:
        """Return the enumerator."""
        return FileEnumerator()

    @staticmethod
    def default_non_splittable_file_enumerator() -> FileEnumerator:
        """Return the enumerator."""
        return FileEnumerator()


@final
class FileSplitAssignerProvider:
    """PyFlink's name for how files come to subtasks: here in turn, there is one machine."""

    @staticmethod
    def locality_aware_split_assigner() -> None:
        """Return None: every file is as near as every other."""
        return
