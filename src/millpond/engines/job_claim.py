"""`claim_job`: a job that has a name runs once on a machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.configuration.backend_choice import choose_backend
from millpond.configuration.options import high_availability as options
from millpond.engines.high_availability import HighAvailability, JobIdentity
from millpond.errors import ConfigurationError
from millpond.filesystem import get_file_system
from millpond.filesystem.local import LocalFileSystem
from millpond.filesystem.owner import OWNER_FILE_NAME, own, remove_owned
from millpond.filesystem.path import join

if TYPE_CHECKING:
    from millpond.datastream.engine import Program

__all__ = ("claim_job", "release_job")

_TRIES = 10


def claim_job(program: Program, job_id: str | None) -> Path | None:
    """Return the directory that says this process runs the job; None where nobody asks.

    A job that is known to later processes is claimed: by high availability, or by an id of the
    user's choice. A second one, of this process or another, would go on from the first one's
    checkpoints, delete them, and make results visible twice. Two jobs with one cluster id have one
    job id, in Flink too. The claim ends with `release_job`, or the process. Storage on other
    machines cannot be claimed; there, of two that complete a checkpoint one fails.

    Raises:
        ConfigurationError: the job runs already; tells in which process. Or an option is not valid.
    """
    configuration = program.configuration
    available = HighAvailability.of(configuration)
    if available is not None:
        url: str | None = available.directory
        hint = f"Give each job its own '{options.CLUSTER_ID.key}'"
    elif job_id is not None:
        url = _checkpoint_directory(program)
        hint = "Give each job an id of its own"
    else:
        return None
    file_system, root = get_file_system(url) if url is not None else (None, "")
    if not isinstance(file_system, LocalFileSystem):
        return None
    identity = JobIdentity.of(configuration, job_id, resume=True)
    directory = Path(join(root, "running", identity.job_id))
    try:
        _own(directory)
    except BlockingIOError as error:
        context = {} if available is None else {"cluster_id": available.cluster_id}
        with contextlib.suppress(OSError):
            context["process"] = (directory / OWNER_FILE_NAME).read_text("ascii")
        here = context.get("process") == str(os.getpid())
        raise ConfigurationError(
            f"{'This' if here else 'Another'} process runs a job with this id.",
            hint=f"{hint}, or wait for the end of that {'job' if here else 'process'}.",
            job=identity.job_id,
            **context,
        ) from error
    except OSError:
        # Its checkpoints cannot be written there either, which is told with their path.
        return None
    return directory


def release_job(claim: Path) -> None:
    """End a claim; the directory of all claims goes with the last of them."""
    remove_owned(claim)
    with contextlib.suppress(OSError):
        claim.parent.rmdir()


def _own(directory: Path) -> None:
    for _ in range(_TRIES - 1):
        # Whoever ends the last claim removes the directory of all.
        with contextlib.suppress(FileNotFoundError):
            directory.mkdir(parents=True, exist_ok=True)
            return own(directory, once=True)
    directory.mkdir(parents=True, exist_ok=True)
    return own(directory, once=True)


def _checkpoint_directory(program: Program) -> str | None:
    backend, storage = program.state_backend, program.checkpoint_storage
    return choose_backend(
        program.configuration,
        None if backend is None else backend.describe(),
        None if storage is None else storage.describe(),
    ).checkpoint_directory
