"""Files behind every scheme that fsspec speaks: object stores, HDFS, SFTP and so on."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, final

from millpond.errors import ConfigurationError, MissingDependencyError
from millpond.filesystem.file_system import FileEntry, FileSystem, OutputFile
from millpond.filesystem.local import IN_PROGRESS_SUFFIX
from millpond.filesystem.path import directory_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("FsspecFileSystem", "open_fsspec")

# Whole objects appear at once when the upload ends; a directory is only a prefix there.
_OBJECT_STORES = frozenset(
    {"abfs", "abfss", "adl", "az", "gcs", "gs", "oci", "oss", "r2", "s3", "s3a", "tos"}
)
_REPLACING_RENAME = frozenset({"hdfs", "viewfs", "webhdfs"})
_CONDITIONAL_PUT = frozenset({"s3", "s3a"})
_MODIFIED_KEYS = (
    "LastModified",
    "last_modified",
    "mtime",
    "modificationTime",
    "modification_time",
    "modified",
    "created",
)
_LATEST_SECONDS = 1 << 36
_INSTALL_COMMANDS = {
    "s3": 'pip install "millpond[s3]"',
    "s3a": 'pip install "millpond[s3]"',
    "hdfs": 'pip install "millpond[hdfs]"',
    "viewfs": 'pip install "millpond[hdfs]"',
    "webhdfs": "pip install requests",
    "gs": "pip install gcsfs",
    "gcs": "pip install gcsfs",
    "abfs": "pip install adlfs",
    "abfss": "pip install adlfs",
    "az": "pip install adlfs",
    "oss": "pip install ossfs",
    "sftp": "pip install paramiko",
    "ssh": "pip install paramiko",
    "smb": "pip install smbprotocol",
    "http": "pip install aiohttp",
    "https": "pip install aiohttp",
}


def open_fsspec(url: str, scheme: str) -> tuple[FsspecFileSystem, str]:
    """Return the fsspec file system of a URL, and the path inside it.

    Raises:
        MissingDependencyError: the scheme's driver is not installed.
        ConfigurationError: nobody knows the scheme.
    """
    try:
        import fsspec
        from fsspec.core import url_to_fs

        if scheme in {"hdfs", "viewfs"}:
            # fsspec's own hdfs driver needs a JVM; hdfs-native does not.
            from hdfs_native.fsspec import (  # type: ignore[import-not-found,unused-ignore]
                HdfsFileSystem,
            )

            fsspec.register_implementation(scheme, HdfsFileSystem, clobber=True)
        elif scheme == "webhdfs":
            from millpond.filesystem.web_hdfs import WebHdfs

            fsspec.register_implementation(scheme, WebHdfs, clobber=True)
        driver, path = url_to_fs(url)
    except ImportError as error:
        command = _INSTALL_COMMANDS.get(scheme, f'pip install "fsspec[{scheme}]"')
        raise MissingDependencyError(
            f"Files at {scheme}:// need a package that is not installed ({error}).",
            hint=f"Install it with: {command}",
            url=url,
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"The URL cannot be used: {error}.",
            hint="Use a bare path, file://, memory://, s3://, hdfs:// or another scheme of fsspec.",
            url=url,
        ) from error
    path = str(path).rstrip("/")
    trimmed = url.rstrip("/")
    prefix = trimmed[: len(trimmed) - len(path)] if trimmed.endswith(path) else f"{scheme}://"
    return FsspecFileSystem(driver, prefix, whole_objects=scheme in _OBJECT_STORES), path


@final
class FsspecFileSystem(FileSystem):
    """One fsspec driver.

    Args:
        driver: the fsspec file system object.
        prefix: what stands before a path in a URL, `s3://` or `hdfs://host:port`.
        whole_objects: whether a file appears only when its upload ends (object stores); else it
            is written under a temporary name and renamed.
    """

    __slots__ = ("_driver", "_numbers", "_prefix", "_protocols", "_whole_objects")

    def __init__(self, driver: Any, prefix: str, *, whole_objects: bool) -> None:
        self._driver = driver
        self._prefix = prefix
        self._protocols = _protocols(driver)
        self._whole_objects = whole_objects
        self._numbers = itertools.count()

    @property
    def is_local(self) -> bool:
        """Whether paths are paths of this machine's file system: no."""
        return False

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"{self._prefix}{path}"

    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable. Raises FileNotFoundError."""
        with _as_os_error(path):
            file: BinaryIO = self._driver.open(path, "rb")
            return file

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end` with one request where the driver can."""
        with _as_os_error(path):
            data: bytes = self._driver.cat_file(path, start=start, end=end)
            return data

    def create(self, path: str, *, exclusive: bool = False) -> OutputFile:
        """Start writing a file; it appears whole when it is published.

        An exclusive one is a conditional put in S3, a rename that replaces nothing in HDFS;
        elsewhere the name is looked up first, so two writers at the same moment both succeed.
        """
        written = path
        mode = "wb"
        if exclusive and self._whole_objects:
            if self._protocols & _CONDITIONAL_PUT:
                mode = "xb"
            elif self.exists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if not self._whole_objects:
            unique = f"{os.getpid():x}-{next(self._numbers):x}"
            written = f"{directory_of(path)}/.{name_of(path)}.{unique}{IN_PROGRESS_SUFFIX}"
        with _as_os_error(path):
            file = self._driver.open(written, mode)
        return _FsspecOutputFile(self._driver, file, written, path, exclusive)

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at the path, None if nothing does."""
        try:
            with _as_os_error(path):
                self._driver.invalidate_cache(path)
                return _entry(path, self._driver.info(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, directory: str) -> tuple[FileEntry, ...]:
        """Return what a directory holds, by name; nothing for an object store's empty prefix."""
        try:
            with _as_os_error(directory):
                self._driver.invalidate_cache(directory)
                infos = self._driver.ls(directory, detail=True)
        except FileNotFoundError:
            if self._whole_objects:
                return ()
            raise
        paths = [(str(info["name"]).rstrip("/"), info) for info in infos]
        own = directory.rstrip("/")
        if [path for path, _ in paths] == [own] and infos[0].get("type") != "directory":
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)
        entries = (_entry(path, info) for path, info in paths if path != own)
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""
        with contextlib.suppress(FileNotFoundError), _as_os_error(path):
            self._driver.rm_file(path)

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is empty. Raises OSError if something is in it."""
        if self._whole_objects:
            return
        with contextlib.suppress(FileNotFoundError), _as_os_error(path):
            # Some drivers remove a directory with all that is in it.
            if self._driver.ls(path, detail=False):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            self._driver.rmdir(path)

    def make_directories(self, path: str) -> None:
        """Create a directory and its parents where the file system has directories."""
        if not self._whole_objects:
            with _as_os_error(path):
                self._driver.makedirs(path, exist_ok=True)

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing an existing one. Raises FileNotFoundError.

        Object stores copy and delete, so a reader may see both names for a moment.
        """
        with _as_os_error(source):
            _move(self._driver, source, target)

    def sync_directory(self, path: str) -> None:
        """Do nothing: a remote file system makes names durable itself."""


@final
class _FsspecOutputFile:
    __slots__ = ("_driver", "_exclusive", "_file", "_path", "_written")

    def __init__(self, driver: Any, file: Any, written: str, path: str, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._driver = driver
        self._file = file
        self._written = written
        self._path = path

    def write(self, data: bytes) -> None:
        with _as_os_error(self._path):
            self._file.write(data)

    def publish(self) -> None:
        with _as_os_error(self._path):
            self._file.close()
            if self._written != self._path:
                _move(self._driver, self._written, self._path, replace=not self._exclusive)

    def discard(self) -> None:
        if self._written != self._path:
            with contextlib.suppress(OSError), _as_os_error(self._path):
                self._file.close()
            with contextlib.suppress(OSError), _as_os_error(self._path):
                self._driver.rm_file(self._written)
        elif not self._file.closed:
            with contextlib.suppress(OSError), _as_os_error(self._path):
                self._file.discard()
            # Closing it would finish the upload, and so would its finalizer.
            self._file.closed = True


def _protocols(driver: Any) -> frozenset[str]:
    protocol = getattr(driver, "protocol", ())
    return frozenset((protocol,) if isinstance(protocol, str) else protocol)


def _move(driver: Any, source: str, target: str, *, replace: bool = True) -> None:
    if _protocols(driver) & _REPLACING_RENAME:
        driver.mv(source, target, overwrite=replace)
        return
    if driver.exists(target):
        if not replace:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        # Between the two steps only the temporary name exists.
        driver.rm_file(target)
    driver.mv(source, target)


def _entry(path: str, info: dict[str, Any]) -> FileEntry:
    is_directory = info.get("type") == "directory"
    size = 0 if is_directory else int(info.get("size") or 0)
    return FileEntry(name_of(path), path, size, is_directory, _modified_ms(info))


def _modified_ms(info: dict[str, Any]) -> int:
    for key in _MODIFIED_KEYS:
        modified = info.get(key)
        if isinstance(modified, datetime):
            return int(modified.timestamp() * 1000)
        if isinstance(modified, (int, float)):
            # Hadoop counts milliseconds, everybody else seconds.
            return int(modified if modified > _LATEST_SECONDS else modified * 1000)
    return 0


@contextlib.contextmanager
def _as_os_error(path: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        # Drivers raise their client library's own classes.
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}", path) from error
