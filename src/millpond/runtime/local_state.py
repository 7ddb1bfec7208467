"""Where copies of a job's checkpoints lie on this machine: they outlive a worker, not the job."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.common.configuration import Configuration
from millpond.configuration.directory import split_local_directories
from millpond.configuration.options import execution
from millpond.configuration.options.state_backend import LOCAL_BACKUP_DIRECTORIES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("local_state_directory",)


def local_state_directory(configuration: Mapping[str, str], job_id: str) -> Path:
    """Return `<root>/jid_<job id>`, with the first configured root.

    Without one, it is in the first temporary directory, in a directory of this user.

    Raises:
        ConfigurationError: a configured directory is not local.
    """
    options = Configuration.from_dict(configuration)
    named = options.get(LOCAL_BACKUP_DIRECTORIES)
    if named:
        root = Path(split_local_directories(named, LOCAL_BACKUP_DIRECTORIES.key)[0])
    else:
        temporary = options.get(execution.TEMPORARY_DIRECTORIES)
        key = execution.TEMPORARY_DIRECTORIES.key
        parent = split_local_directories(temporary, key)[0] if temporary else tempfile.gettempdir()
        root = Path(parent) / f"millpond-local-state-{os.getuid()}"
    return root / f"jid_{job_id}"
