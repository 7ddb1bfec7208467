"""`claim_job`: of the processes of one machine, one runs a job that has high availability."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.configuration.options import high_availability as options
from millpond.engines.high_availability import HighAvailability, JobIdentity
from millpond.errors import ConfigurationError
from millpond.filesystem import get_file_system
from millpond.filesystem.local import LocalFileSystem
from millpond.filesystem.owner import OWNER_FILE_NAME, own
from millpond.filesystem.path import join

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("claim_job",)


def claim_job(configuration: Configuration, job_id: str | None) -> Path | None:
    """Return the directory that says this process runs the job; None where nobody asks.

    Two jobs with one cluster id have one job id, in Flink too: the second would go on from the
    first one's checkpoints and delete them. The claim ends with `remove_owned`, or the process.
    Storage on other machines cannot be claimed; there, of two that complete a checkpoint one fails.

    Raises:
        ConfigurationError: another process runs the job; tells which.
    """
    available = HighAvailability.of(configuration)
    if available is None:
        return None
    file_system, root = get_file_system(available.directory)
    if not isinstance(file_system, LocalFileSystem):
        return None
    identity = JobIdentity.of(configuration, job_id, resume=True)
    directory = Path(join(root, "running", identity.job_id))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        own(directory)
    except BlockingIOError as error:
        owner = ""
        with contextlib.suppress(OSError):
            owner = (directory / OWNER_FILE_NAME).read_text("ascii")
        raise ConfigurationError(
            "Another process runs a job with this id.",
            hint=f"Give each job its own '{options.CLUSTER_ID.key}', or wait for the end of that "
            "process.",
            cluster_id=available.cluster_id,
            job=identity.job_id,
            process=owner,
        ) from error
    except OSError:
        # Its pointers cannot be written there either, which is told with their path.
        return None
    return directory
