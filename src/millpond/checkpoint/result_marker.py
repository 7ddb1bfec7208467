"""The file that says that a job has finished, so that nobody starts it again by mistake."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, final

from millpond.checkpoint.storage_failure import reported
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import directory_of

if TYPE_CHECKING:
    from millpond.filesystem import FileSystemResolver

__all__ = ("RESULT_FILE_NAME", "ResultMarker")

RESULT_FILE_NAME = "_result"
_logger = logging.getLogger(__name__)


@final
class ResultMarker:
    """Flink's JobResultStore for one job: a small file beside its checkpoints.

    It is written before the checkpoints of a finished job are deleted. A process that is killed
    in between, and one that is started later under the same job id, finds it and does not repeat
    the job. Used by one thread.
    """

    __slots__ = ("_file_system", "_job_id", "_path")

    def __init__(
        self, url: str, job_id: str, *, resolve: FileSystemResolver = get_file_system
    ) -> None:
        self._file_system, self._path = resolve(url)
        self._job_id = job_id

    @property
    def url(self) -> str:
        """Where the file is, or would be."""
        return self._file_system.url(self._path)

    def write(self, checkpoint_id: int) -> bool:
        """Say that the job has finished; return whether it is durable. A failure is logged."""
        record = {"job_id": self._job_id, "status": "FINISHED", "last_checkpoint": checkpoint_id}
        try:
            self._file_system.make_directories(directory_of(self._path))
            self._file_system.write_bytes(self._path, json.dumps(record).encode() + b"\n")
        except OSError as error:
            _logger.warning("Cannot write %s: %s", self.url, error)
            return False
        return True

    def is_finished(self) -> bool:
        """Return whether the job has finished.

        Raises:
            SnapshotCorruptedError: the file is damaged, or another job's.
            CheckpointStorageError: it cannot be read.
        """
        with reported("read the result of the job", self.url):
            try:
                data = self._file_system.read_bytes(self._path)
            except FileNotFoundError:
                return False
        try:
            record = json.loads(data)
            if (record["job_id"], record["status"]) == (self._job_id, "FINISHED"):
                return True
        except (ValueError, KeyError, TypeError):
            pass
        raise SnapshotCorruptedError(
            "The file that says whether the job has finished is damaged.",
            hint="Delete it if the job shall run.",
            path=self.url,
        )

    def clear(self) -> None:
        """Forget it: the job starts anew. A failure is logged."""
        try:
            if self._file_system.exists(self._path):
                self._file_system.delete(self._path)
        except OSError as error:
            _logger.warning("Cannot delete %s: %s", self.url, error)
