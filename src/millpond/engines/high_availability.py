"""`HighAvailability` and `JobIdentity`: which job a program is, for this process and later ones."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from millpond.configuration.directory import checked_directory
from millpond.configuration.options import high_availability as options
from millpond.errors import ConfigurationError
from millpond.filesystem.path import join
from millpond.serialization.java_hash import hash_string

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("HighAvailability", "JobIdentity")

_OFF = frozenset({"none", "standalone"})


@final
@dataclass(frozen=True, slots=True)
class HighAvailability:
    """Where the pointers of a job are that high availability is configured for.

    Attributes:
        cluster_id: names the job.
        directory: `<high-availability.storageDir>/<cluster id>`.
    """

    cluster_id: str
    directory: str

    @classmethod
    def of(cls, configuration: Configuration) -> Self | None:
        """Return it, None where it is not configured.

        Raises:
            ConfigurationError: there is no storage directory, or it cannot be one.
        """
        mode = configuration.get(options.MODE)
        if mode.strip().lower() in _OFF:
            return None
        root = configuration.get(options.STORAGE_DIRECTORY)
        if not root:
            raise ConfigurationError(
                "High availability needs a storage directory, and none is set.",
                hint=f"Set '{options.STORAGE_DIRECTORY.key}', or '{options.MODE.key}' to NONE.",
                type=mode,
            )
        cluster_id = configuration.get(options.CLUSTER_ID)
        root = checked_directory(root, options.STORAGE_DIRECTORY.key)
        return cls(cluster_id, join(root, cluster_id.strip("/") or "default"))

    @property
    def job_id(self) -> str:
        """The id that Flink's ApplicationDispatcherBootstrap makes of the cluster's."""
        low = hash_string(self.cluster_id)
        low -= (low >> 31) << 32
        return f"{low & 0xFFFFFFFFFFFFFFFF:016x}{0:016x}"


@final
@dataclass(frozen=True, slots=True)
class JobIdentity:
    """The job's id, whether it goes on where an earlier process ended, and whether it has a name.

    A job with a name is known to later processes, so that its end is worth remembering.
    """

    job_id: str
    resume: bool
    is_named: bool

    @classmethod
    def of(cls, configuration: Configuration, job_id: str | None, *, resume: bool) -> Self:
        """Return what was asked for, else what high availability says, else a fresh id.

        Raises:
            ConfigurationError: high availability has no storage directory.
        """
        if job_id is not None:
            return cls(job_id, resume, is_named=True)
        available = HighAvailability.of(configuration)
        if available is not None:
            return cls(available.job_id, resume=True, is_named=True)
        return cls(uuid.uuid4().hex, resume, is_named=False)
