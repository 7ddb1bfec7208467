"""`hard_link`: another name for a local file, where that can be had."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("hard_link",)


def hard_link(source: Path, target: Path) -> bool:
    """Give a file another name; return False if that is not possible, and nothing was done.

    It is not to another device, on file systems without links, and where the system protects files
    of other users. Symbolic links are followed, so that the new name is one of the file itself.
    """
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        return False
    return True
