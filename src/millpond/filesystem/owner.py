"""Local directories that belong to a process: a lock that it holds says that it lives."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

__all__ = (
    "OWNER_FILE_NAME",
    "disown",
    "make_owned_directory",
    "own",
    "remove_abandoned",
    "remove_owned",
)

OWNER_FILE_NAME: Final = "owner.lock"
_TRIES: Final = 10

# Not the process id, which the file holds for people: another container that shares the disk
# cannot see it, and would take the directory of a running job for a dead one's. Descriptors, not
# file objects: a lock that ends with its process is meant to be open then.
_held: Final[dict[str, int]] = {}
_lock = threading.Lock()


def own(directory: Path, *, once: bool = False) -> None:
    """Make an existing directory this process's, until `disown`, `remove_owned` or its end.

    Again changes nothing, unless it may be owned only `once`.

    Raises:
        BlockingIOError: another process has it, or this one where it must not.
        FileNotFoundError: another process took it for an abandoned one, and removed it.
        OSError: its lock cannot be made.
    """
    key = str(directory)
    with _lock:
        if key in _held:
            if once:
                raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), key)
            return
    path = directory / OWNER_FILE_NAME
    descriptor = _open(path)
    try:
        _try_lock(descriptor)
        # Who found it unlocked may have removed it meanwhile.
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode("ascii"))
    except OSError:
        os.close(descriptor)
        raise
    with _lock:
        _held[key] = descriptor


def disown(directory: Path) -> None:
    """Leave it to whoever comes next."""
    with _lock:
        descriptor = _held.pop(str(directory), None)
    if descriptor is not None:
        os.close(descriptor)


def remove_owned(directory: Path) -> None:
    """Remove a directory with all that is in it; what cannot be removed is left."""
    with contextlib.suppress(OSError):
        _remove(directory)
    disown(directory)


def make_owned_directory(prefix: str, root: Path | None) -> Path:
    """Make a directory that only this user may enter, and remove those of dead processes.

    Args:
        prefix: of its name, and of the names of those that are removed.
        root: where to make it; None: where the system has its temporary files.

    Raises:
        OSError: it cannot be made.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            return _make_owned(prefix, root)
    return _make_owned(prefix, root)


def _make_owned(prefix: str, root: Path | None) -> Path:
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        own(directory)
    except OSError:
        remove_owned(directory)
        raise
    remove_abandoned(directory.parent, prefix)
    return directory


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the directories with this prefix whose process is dead.

    Those without an owner's file are left alone unless they are empty: their process died, or is
    about to write it and makes another one then. On Windows nothing is removed.
    """
    if sys.platform == "win32":
        return
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                _remove_if_abandoned(path)


def _remove_if_abandoned(directory: Path) -> None:
    with _lock:
        if str(directory) in _held:
            return
    owner = directory / OWNER_FILE_NAME
    if not owner.exists():
        directory.rmdir()
        return
    descriptor = _open(owner)
    try:
        # Held until it is gone, so that nobody claims it meanwhile.
        _try_lock(descriptor)
        _remove(directory)
    finally:
        os.close(descriptor)


def _remove(directory: Path) -> None:
    """Remove the owner's file last: a process that dies meanwhile leaves what the next removes."""
    for path in directory.iterdir():
        if path.name == OWNER_FILE_NAME:
            continue
        if path.is_dir() and not path.is_symlink():
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    (directory / OWNER_FILE_NAME).unlink(missing_ok=True)
    directory.rmdir()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)


def _try_lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
