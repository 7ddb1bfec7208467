"""`FileWriter`: the writer of one subtask of a `FileSink`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors._file_sink.compaction import (
    FileCompactor,
    FileCompactStrategy,
    concatenate,
    groups_to_compact,
)
from millpond.datastream.connectors._file_sink.part_file import PartFile, PendingPart
from millpond.datastream.connectors._file_sink.part_name import HiddenName, Owner
from millpond.datastream.connectors.sink import Committable, SinkWriter, SinkWriterContext
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from millpond.datastream.connectors._file_sink.bucket_assigner import BucketAssigner
    from millpond.datastream.connectors._file_sink.encoding import Encoding
    from millpond.datastream.connectors._file_sink.output_file_config import OutputFileConfig
    from millpond.datastream.connectors._file_sink.rolling_policy import RollingPolicy
    from millpond.datastream.connectors._file_sink.storage import PartStorage

__all__ = ("Compaction", "FileWriter", "PartLayout")

Compaction = tuple[FileCompactStrategy, FileCompactor]


@final
@dataclass(frozen=True, slots=True)
class PartLayout:
    """Where part files go and what they look like.

    `new_name` returns a text that nobody else in the world gets.
    """

    base_path: str
    encoding: Encoding
    bucket_assigner: BucketAssigner
    rolling_policy: RollingPolicy
    output_file_config: OutputFileConfig
    compaction: Compaction | None
    new_name: Callable[[], str]


@final
class FileWriter(SinkWriter):
    """Writes parts under hidden names, one open part a bucket.

    The state is one element a lineage (see `part_name`): parts to go on with, finished parts that
    wait to be combined, and those whose commit may still be outstanding. Everything else that
    carries the lineage's name when the writer is made was written after the restored checkpoint, or
    was combined before it, and is deleted.
    """

    def __init__(
        self,
        layout: PartLayout,
        storage: PartStorage,
        context: SinkWriterContext,
        restored: Sequence[Any],
    ) -> None:
        self._layout = layout
        self._storage = storage
        self._context = context
        self._owner = Owner.of(context)
        self._instance = layout.new_name()
        self._next_number = 0
        self._lineages = [element["lineage"] for element in restored] or [layout.new_name()]
        self._open: dict[str, PartFile] = {}
        self._finished: list[PendingPart] = []
        self._uncommitted: list[PendingPart] = [
            PendingPart.decode(fields) for element in restored for fields in element["uncommitted"]
        ]
        self._waiting: list[PendingPart] = [
            PendingPart.decode(fields)
            for element in restored
            for fields in element.get("waiting", ())
        ]
        self._checkpoints = 0
        with self._naming("created or restored"):
            storage.make_directories(layout.base_path)
            in_progress = [fields for element in restored for fields in element["in_progress"]]
            self._delete_leftovers({fields["path"] for fields in in_progress})
            self._resume(in_progress)
            self._check_waiting()

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        """Append a batch to the parts of its buckets."""
        if not values:
            return
        now_ms = self._context.clock.now_ms()
        groups = self._layout.bucket_assigner.group(values, timestamps, now_ms)
        with self._naming("written"):
            for bucket, members in groups:
                self._part(bucket, now_ms).write(members, now_ms)

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        """End the parts that the rolling policy ends here; at the end of input all of them."""
        now_ms = self._context.clock.now_ms()
        resumable = self._storage.can_resume and self._layout.encoding.can_resume
        policy = self._layout.rolling_policy
        with self._naming("finished"):
            for bucket, part in list(self._open.items()):
                progress = part.progress
                if (
                    end_of_input
                    or not resumable
                    or policy.should_roll_on_checkpoint(progress)
                    or policy.should_roll_on_time(progress, now_ms)
                ):
                    self._finish(bucket)
                else:
                    part.sync()
            ready = self._ready(end_of_input=end_of_input)
        self._uncommitted += ready
        return [part.encode() for part in ready]

    def snapshot(self, checkpoint_id: int) -> list[Any]:
        """Return an element a lineage."""
        size = self._storage.size
        with self._naming("listed"):
            # A part that is visible already has no file under its hidden name any more.
            self._uncommitted = [part for part in self._uncommitted if size(part.path) is not None]
        elements: dict[str, dict[str, Any]] = {
            lineage: {"lineage": lineage, "in_progress": [], "uncommitted": []}
            for lineage in self._lineages
        }
        for part in self._open.values():
            elements[_lineage_of(part.path)]["in_progress"].append(part.snapshot())
        for pending in self._waiting:
            elements[_lineage_of(pending.path)].setdefault("waiting", []).append(pending.encode())
        for pending in self._uncommitted:
            elements[_lineage_of(pending.path)]["uncommitted"].append(pending.encode())
        return list(elements.values())

    def close(self) -> None:
        """Close the files; what no checkpoint covers stays hidden."""
        for part in self._open.values():
            with contextlib.suppress(OSError):
                part.abandon()
        self._open.clear()

    def _part(self, bucket: str, now_ms: int) -> PartFile:
        part = self._open.get(bucket)
        if part is not None:
            policy, progress = self._layout.rolling_policy, part.progress
            if not (
                policy.should_roll_on_batch(progress)
                or policy.should_roll_on_time(progress, now_ms)
            ):
                return part
            self._finish(bucket)
        return self._start(bucket, now_ms)

    def _start(self, bucket: str, now_ms: int) -> PartFile:
        directory = self._directory(bucket)
        config = self._layout.output_file_config
        name = f"{config.part_prefix}-{self._instance}-{self._next_number}{config.part_suffix}"
        self._next_number += 1
        mark = "uncompacted-" if self._layout.compaction else ""
        hidden = HiddenName(mark + name, self._lineages[0], self._owner)
        if bucket:
            self._storage.make_directories(directory)
        part = PartFile.start(
            self._storage,
            self._layout.encoding,
            bucket=bucket,
            path=f"{directory}/{hidden}",
            target=f"{directory}/{name}",
            now_ms=now_ms,
        )
        self._open[bucket] = part
        # Without its name in the directory the synced content would be lost in a power cut.
        self._storage.sync_directory(directory)
        return part

    def _finish(self, bucket: str) -> None:
        part = self._open[bucket]
        pending = part.finish()
        del self._open[bucket]
        self._finished.append(pending)

    def _ready(self, *, end_of_input: bool) -> list[PendingPart]:
        """Return what the coming checkpoint makes visible of the finished parts."""
        waiting = [*self._waiting, *self._finished]
        self._finished, self._waiting = [], []
        if self._layout.compaction is None:
            return waiting
        strategy, compactor = self._layout.compaction
        self._checkpoints += 1
        everything = end_of_input or 0 < strategy.checkpoints_before_compaction <= self._checkpoints
        if everything:
            self._checkpoints = 0
        groups, self._waiting = groups_to_compact(
            strategy, compactor, waiting, everything=everything
        )
        return [self._combined(group, compactor.file_delimiter) for group in groups]

    def _combined(self, group: Sequence[PendingPart], delimiter: bytes) -> PendingPart:
        first = group[0]
        name = f"compacted-{first.target.rpartition('/')[2]}"
        target = f"{first.directory}/{name}"
        if len(group) == 1:
            return PendingPart(first.path, target, first.length)
        path = f"{first.directory}/{HiddenName(name, self._lineages[0], self._owner)}"
        output = self._storage.create(path)
        try:
            length = concatenate(self._storage, group, output, delimiter)
            output.finish()
        except Exception:
            output.abandon()
            raise
        self._storage.sync_directory(first.directory)
        return PendingPart(path, target, length, tuple(part.path for part in group))

    def _directory(self, bucket: str) -> str:
        base_path = self._layout.base_path
        if not bucket:
            return base_path
        if bucket.startswith("/") or ".." in bucket.split("/"):
            raise ConnectorError(
                f"The bucket {bucket!r} is outside of the sink's directory.",
                hint="A bucket assigner returns a relative path without '..'.",
                path=base_path,
            )
        return f"{base_path}/{bucket.strip('/')}"

    def _resume(self, in_progress: Sequence[dict[str, Any]]) -> None:
        for fields in in_progress:
            part = PartFile.resume(self._storage, self._layout.encoding, fields)
            if part.bucket in self._open:
                # After a restore with fewer subtasks several parts of a bucket come together.
                self._finished.append(part.finish())
            else:
                self._open[part.bucket] = part

    def _check_waiting(self) -> None:
        for part in self._waiting:
            if self._storage.size(part.path) != part.length:
                raise ConnectorError(
                    "A part file that waits to be combined is gone or was changed.",
                    hint="Somebody removed or changed hidden files of the sink's directory, or a "
                    "later checkpoint than the restored one combined the part already.",
                    path=part.path,
                    length=part.length,
                )

    def _delete_leftovers(self, in_progress: set[str]) -> None:
        restored = self._context.restored_checkpoint_id is not None
        if not restored and self._context.attempt == 0:
            return
        kept = in_progress | {part.path for part in (*self._waiting, *self._uncommitted)}
        lineages = set(self._lineages)
        for path in list(self._storage.walk(self._layout.base_path)):
            name = HiddenName.parse(path.rpartition("/")[2])
            if name is None or path in kept:
                continue
            orphan = not restored and self._owner.succeeds(name.owner)
            if name.lineage in lineages or orphan:
                self._storage.delete(path)

    @contextlib.contextmanager
    def _naming(self, done: str) -> Iterator[None]:
        try:
            yield
        except ConnectorError:
            raise
        except OSError as error:
            raise ConnectorError(
                f"A part file could not be {done}: {error.strerror or error}.",
                hint="See that the directory is writable and the disk is not full.",
                path=error.filename or self._layout.base_path,
                subtask=self._context.subtask_index,
            ) from error


def _lineage_of(path: str) -> str:
    name = HiddenName.parse(path.rpartition("/")[2])
    if name is None:
        raise ConnectorError("The restored state names a file that is no part file.", path=path)
    return name.lineage
