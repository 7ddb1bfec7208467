"""`InstanceDirectories`: where databases live on local disks, in turn, broken disks skipped."""

from __future__ import annotations

import re
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from millpond.errors import StateStoreError
from millpond.filesystem.owner import own, remove_abandoned, remove_owned

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("InstanceDirectories", "remove_instance")

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9-]")


@final
class InstanceDirectories:
    """Makes one directory a backend, as Flink names them, and removes those of dead processes.

    The name is ``job_<job>_op_<operator>_uuid_<uuid>``; the database is in ``db`` below it.
    """

    def __init__(self, first: int = 0) -> None:
        """Start with the directory number `first` of those given, so that jobs spread."""
        self._next = first

    def create(
        self,
        directories: Sequence[Path],
        job_id: str,
        operator: str,
    ) -> Path:
        """Return a new, empty directory in one of `directories`, or in the temporary one.

        Raises:
            StateStoreError: none of them can be used; names each with its reason.
        """
        candidates = list(directories) or [Path(tempfile.gettempdir())]
        prefix = f"job_{_clean(job_id)}_op_{_clean(operator)}_uuid_"
        failures: list[str] = []
        for _ in candidates:
            parent = candidates[self._next % len(candidates)]
            self._next += 1
            path = parent / f"{prefix}{uuid.uuid4()}"
            try:
                parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
                own(path)
            except OSError as error:
                remove_instance(path)
                failures.append(f"{parent}: {error.strerror or error}")
                continue
            # What killed processes left of the same operator of the same job.
            remove_abandoned(parent, prefix)
            return path
        raise StateStoreError(
            f"No local storage directory is usable: {'; '.join(failures)}.",
            hint="Set state.backend.rocksdb.localdir to absolute directories that may be written.",
        )


def _clean(name: str) -> str:
    return _FOREIGN.sub("_", name)


def remove_instance(path: Path) -> None:
    """Remove an instance directory; what cannot be removed is left."""
    remove_owned(path)
