"""`RescaleSettings`: how files of other key groups become the database of this subtask."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.configuration.options.rocksdb import (
    COMPACT_AFTER_RESCALE,
    DELETE_FILES_IN_RANGE,
    INGEST_AT_RESCALE,
    RESTORE_OVERLAP_FRACTION,
)
from millpond.errors import StateStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.configuration import Configuration
    from millpond.state.rocksdb.column_family import ColumnFamily
    from millpond.state.rocksdb.database import Database

__all__ = ("BackgroundCompaction", "RescaleSettings")


@dataclass(frozen=True, slots=True)
class RescaleSettings:
    """What a restore does with files that hold key groups of other subtasks.

    Attributes:
        overlap_fraction: the share of its own key groups that a database must give to be the base.
        ingests: no base; the rows of all are written to sorted files that a new database takes in.
        drops_foreign_rows: compact the foreign key groups of the base away during the restore.
        compacts_later: the same in the background, after it.
    """

    overlap_fraction: float = 0.0
    ingests: bool = False
    drops_foreign_rows: bool = False
    compacts_later: bool = False

    @classmethod
    def of(cls, configuration: Configuration) -> RescaleSettings:
        """Read the options."""
        return cls(
            configuration.get(RESTORE_OVERLAP_FRACTION),
            configuration.get(INGEST_AT_RESCALE),
            configuration.get(DELETE_FILES_IN_RANGE),
            configuration.get(COMPACT_AFTER_RESCALE),
        )


@final
class BackgroundCompaction:
    """Compacts ranges of column families on a thread of its own."""

    def __init__(
        self, database: Database, work: Sequence[tuple[ColumnFamily, bytes, bytes]]
    ) -> None:
        self._database = database
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="millpond-compaction", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # What fails here leaves deleted rows on the disk, which nothing depends on.
        with contextlib.suppress(StateStoreError):
            for family, start, end in self._work:
                if self._stopped.is_set():
                    return
                family.compact(start, end)

    @property
    def running(self) -> bool:
        """Whether there is work left."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Give up what is left and wait; the database can only be closed afterwards."""
        self._stopped.set()
        if self._thread.is_alive():
            self._database.stop_background_work()
        self._thread.join()
