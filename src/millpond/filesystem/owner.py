"""Local directories that belong to a process: a lock that it holds says that it lives."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import IO, Final

from millpond.filesystem.path import name_of

try:
    import fcntl
except ImportError:  # Windows: nothing counts as abandoned there
    fcntl = None  # type: ignore[assignment,unused-ignore]

__all__ = (
    "OWNER_FILE_NAME",
    "disown",
    "make_owned_directory",
    "own",
    "remove_abandoned",
    "remove_owned",
)

OWNER_FILE_NAME: Final = "owner.lock"

# Not the process id, which the file holds for people: another container that shares the disk
# cannot see it, and would take the directory of a running job for a dead one's.
_held: Final[dict[str, IO[str]]] = {}
_lock = threading.Lock()


def own(directory: Path) -> None:
    """Make an existing directory this process's, until `disown`, `remove_owned` or its end.

    Raises:
        BlockingIOError: another process has it.
        OSError: its lock cannot be made.
    """
    key = str(directory)
    with _lock:
        if key in _held:
            return
    path = directory / OWNER_FILE_NAME
    if path.exists():
        file = path.open("r+", encoding="ascii")
        try:
            _try_lock(file)
        except OSError:
            file.close()
            raise
    else:
        # Locked before it has its name: nobody can take the directory for an abandoned one.
        hidden = directory / f".{name_of(key)}.{os.getpid()}.lock"
        file = hidden.open("w", encoding="ascii")
        _try_lock(file)
        hidden.replace(path)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    with _lock:
        _held[key] = file


def disown(directory: Path) -> None:
    """Leave it to whoever comes next."""
    with _lock:
        file = _held.pop(str(directory), None)
    if file is not None:
        file.close()


def remove_owned(directory: Path) -> None:
    """Remove a directory with all that is in it; what cannot be removed is left."""
    shutil.rmtree(directory, ignore_errors=True)
    disown(directory)


def make_owned_directory(prefix: str, root: Path | None) -> Path:
    """Make a directory that only this user may enter, and remove those of dead processes.

    Args:
        prefix: of its name, and of the names of those that are removed.
        root: where to make it; None: where the system has its temporary files.

    Raises:
        OSError: it cannot be made.
    """
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        own(directory)
    except OSError:
        remove_owned(directory)
        raise
    remove_abandoned(directory.parent, prefix)
    return directory


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the directories with this prefix whose process is dead; others are left alone."""
    for path in parent.glob(f"{prefix}*"):
        if _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(directory: Path) -> bool:
    with _lock:
        if str(directory) in _held:
            return False
    with contextlib.suppress(OSError):
        if fcntl is not None and directory.lstat().st_uid == os.getuid():
            with (directory / OWNER_FILE_NAME).open("r+", encoding="ascii") as file:
                _try_lock(file)
                return True
    return False


def _try_lock(file: IO[str]) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
