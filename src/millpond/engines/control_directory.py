"""The directory where running jobs of this user can be reached, and who may."""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from pathlib import Path

from millpond.errors import ConfigurationError

__all__ = ("control_directory", "is_own_peer")

_VARIABLE = "MILLPOND_JOBS_DIR"


def control_directory(*, create: bool) -> Path:
    """Return the directory of sockets: MILLPOND_JOBS_DIR, or one in the user's runtime directory.

    Raises:
        ConfigurationError: it belongs to somebody else, or others may write to it.
    """
    named = os.environ.get(_VARIABLE)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        directory = Path(named)
    elif runtime and Path(runtime).is_dir():
        directory = Path(runtime) / "millpond"
    else:
        directory = Path(tempfile.gettempdir()) / f"millpond-{os.getuid()}"
    if create:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return directory
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            "The directory of running jobs is not this user's alone.",
            hint=f"Remove it, or name another one in the environment variable {_VARIABLE}.",
            path=directory,
        )
    return directory


def is_own_peer(connection: socket.socket) -> bool:
    """Tell whether the other end runs as this user; where that cannot be asked, file modes do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", data)
    return bool(user == os.getuid())
