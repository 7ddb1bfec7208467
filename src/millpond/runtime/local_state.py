"""Where copies of a job's checkpoints lie on this machine: they outlive a worker, not the job."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.common.configuration import Configuration
from millpond.configuration.directory import split_local_directories
from millpond.configuration.options import execution
from millpond.configuration.options.state_backend import LOCAL_BACKUP_DIRECTORIES
from millpond.filesystem.owner import own, remove_abandoned
from millpond.runtime.settings import RuntimeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("claim_local_state", "local_state_directory")

_PREFIX = "jid_"
_logger = logging.getLogger(__name__)


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
    return root / f"{_PREFIX}{job_id}"


def claim_local_state(configuration: Mapping[str, str], job_id: str) -> Path | None:
    """Make the job's directory this process's, and remove those of jobs whose process is dead.

    What an earlier process of the same job left stays: its copies may still be of use. Whatever
    goes wrong is logged and fails nothing.

    Returns:
        The directory, None unless copies are kept.

    Raises:
        ConfigurationError: a configured directory is not local.
    """
    if not RuntimeSettings.of(configuration).local_recovery:
        return None
    directory = local_state_directory(configuration, job_id)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        own(directory)
        remove_abandoned(directory.parent, _PREFIX)
    except OSError as error:
        _logger.warning("Local copies of checkpoints: %s", error)
    return directory
