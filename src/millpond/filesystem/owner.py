"""Which process a local directory belongs to: its id stands in a file there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("OWNER_FILE_NAME", "is_abandoned", "write_owner")

OWNER_FILE_NAME: Final = "owner.pid"


def write_owner(directory: Path) -> None:
    """Make an existing directory this process's. Raises OSError."""
    (directory / OWNER_FILE_NAME).write_text(str(os.getpid()), encoding="ascii")


def is_abandoned(directory: Path) -> bool:
    """Return whether the owner is known and does not run any more."""
    try:
        owner = int((directory / OWNER_FILE_NAME).read_text(encoding="ascii"))
        os.kill(owner, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False
