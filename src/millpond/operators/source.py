"""The source operator: reads the splits of one subtask in batches cut at absolute offsets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import msgspec

from millpond.common.typeinfo import Types
from millpond.datastream.connectors.source import (
    ColumnarRecords,
    Records,
    Source,
    Split,
    SplitReader,
)
from millpond.datastream.state import ListStateDescriptor
from millpond.errors import RestoreError
from millpond.operators.batch import MAX_WATERMARK, Batch
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.event_time import EventTimeAssignment
from millpond.operators.operator import Operator, user_code_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.datastream.operator_spec import SourceSpec

__all__ = ("SourceOperator",)

_SPLITS = ListStateDescriptor("source-splits", Types.PRIMITIVE_ARRAY(Types.BYTE()))


@dataclass(slots=True)
class _SplitProgress:
    """How far one split was read; `records` from its start, also before a restore.

    `largest` is its largest timestamp where several splits are read in turn.
    """

    split: Split
    records: int = 0
    position: Mapping[str, Any] | None = None
    finished: bool = False
    largest: int | None = None
    reader: SplitReader | None = field(default=None, repr=False)

    def current_position(self) -> Mapping[str, Any] | None:
        return self.position if self.reader is None else self.reader.position()

    def encode(self) -> bytes:
        position = self.current_position()
        fields = (self.split.split_id, self.split.payload, self.records, position, self.finished)
        # A sixth one only where it is needed: earlier versions read five.
        return msgspec.msgpack.encode(
            fields if self.largest is None else (*fields, self.largest),
        )

    @classmethod
    def decode(cls, data: bytes, operator: str) -> _SplitProgress:
        try:
            fields = msgspec.msgpack.decode(data)
            largest = fields.pop() if isinstance(fields, list) and len(fields) == 6 else None
            split_id, payload, records, position, finished = msgspec.convert(
                fields, type=tuple[str, dict[str, Any], int, dict[str, Any] | None, bool]
            )
            largest = msgspec.convert(largest, type=int | None)
        except msgspec.MsgspecError as error:
            raise RestoreError(
                f"The source's position in the snapshot is damaged: {error}.", operator=operator
            ) from error
        return cls(Split(split_id, payload), records, position, finished, largest)


@final
class SourceOperator(Operator):
    """Reads a source.

    A batch ends where the number of records read from the split is a multiple of the batch size,
    wherever a restore happened: so watermarks, which follow batches, stand at the same records in
    every run.

    Attributes:
        paused: it may not read now, for its event time is ahead of its group's.
        records_read: how many this subtask read since it was opened.
        ended: everything was read.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._source = spec.source
        self._strategy = spec.watermark_strategy or spec.source.default_watermark_strategy()
        self._splits: list[_SplitProgress] = []
        self._unfinished: list[_SplitProgress] = []  # in the order of the splits
        self._next_discovery_ms: int | None = None
        self._unlisted: list[_SplitProgress] = []
        listens = type(spec.source).checkpoint_complete is not Source.checkpoint_complete
        self._positions: dict[int, list[tuple[Split, Mapping[str, Any]]]] | None
        self._positions = {} if listens else None
        self._stopped = False
        self.paused = False
        self.records_read = 0
        self.ended = False

    def initialize_state(self) -> None:
        # Every subtask sees all positions: who reads a split may change with the parallelism.
        self._state = self.context.operator_state.get_union_list_state(_SPLITS)
        name = self.context.name
        restored = [_SplitProgress.decode(data, name) for data in self._state.get()]
        self._restored = {progress.split.split_id: progress for progress in restored}
        self._event_time = EventTimeAssignment(self._strategy, self.context)
        self._event_time.initialize_state()

    def open(self) -> None:
        self._event_time.open(self.output)
        self._discover(first=not self._restored)
        if self._source.bounded and not self._unfinished:
            # Nothing is left to read: nobody needs to wait for this subtask's event time.
            self.output.emit_watermark(MAX_WATERMARK)

    def _discover(self, *, first: bool) -> None:
        known = {progress.split.split_id for progress in self._splits}
        context = self.context
        source, parallelism = self._source, context.parallelism
        splits = source.splits(parallelism)
        own = [
            split
            for index, split in enumerate(splits)
            if source.subtask_of(split, index, parallelism) == context.subtask_index
            and split.split_id not in known
        ]
        unread = [split for split in own if split.split_id not in self._restored]
        begun = {split.split_id: split for split in source.begin(unread, first=first)}
        found = [
            self._restored.get(split.split_id) or _SplitProgress(begun[split.split_id])
            for split in own
        ]
        self._splits += found
        self._unfinished += [progress for progress in found if not progress.finished]
        if context.subtask_index == 0:
            # A source may forget splits that were read; the snapshot must not, or they come again.
            listed = {split.split_id for split in splits}
            self._unlisted = [p for i, p in self._restored.items() if i not in listed]
        self._watch_splits()
        interval_ms = self._source.discovery_interval_ms
        if interval_ms is not None:
            self._next_discovery_ms = context.clock.now_ms() + interval_ms

    def produce(self) -> bool:
        """Read and emit one batch; return whether there was anything to do."""
        if self.ended or self._stopped:
            return False
        if self.paused:
            self._event_time.pause()
            return False
        if (
            self._next_discovery_ms is not None
            and self.context.clock.now_ms() >= self._next_discovery_ms
        ):
            self._discover(first=False)
        unfinished = self._unfinished
        if not unfinished and (self._source.bounded or self._source.stops):
            self.ended = True
            return True
        if self._source.bounded:
            return self._read(unfinished[0])
        if len(unfinished) > 1:
            # The one that is furthest behind: a restored run takes up the same turns.
            batch_size = self.context.batch_size
            unfinished = sorted(unfinished, key=lambda each: each.records // batch_size)
        if any(self._read(progress) for progress in unfinished):
            return True
        self._event_time.nothing_came(self.output)
        return False

    def _watch_splits(self) -> None:
        # The splits of a bounded source are read one after the other.
        if not self._source.bounded:
            self._event_time.watch_splits(
                {each.split.split_id: each.largest for each in self._unfinished}
            )

    def _read(self, progress: _SplitProgress) -> bool:
        reader = progress.reader
        if reader is None:
            reader = self._open(progress)
        batch_size = self.context.batch_size * self._source.batch_multiple
        try:
            records = reader.read(batch_size - progress.records % batch_size)
        except Exception as error:
            user_code_error(error, self.context, f"{type(self._source).__name__}.read")
        if records is not None and len(records):
            progress.records += len(records)
            self.records_read += len(records)
            self._event_time.emit(_batch_of(records), self.output, progress.split.split_id)
        elif not reader.finished:
            if self._source.bounded:
                self._event_time.nothing_came(self.output)
            return False
        if reader.finished:
            progress.position = reader.position()
            progress.finished = True
            progress.reader = None
            self._unfinished = [each for each in self._unfinished if each is not progress]
            reader.close()
            self._watch_splits()
        return True

    def _open(self, progress: _SplitProgress) -> SplitReader:
        try:
            reader = self._source.open_split(progress.split, progress.position, self.context.clock)
        except Exception as error:
            user_code_error(error, self.context, f"{type(self._source).__name__}.open_split")
        progress.reader = reader
        return reader

    def stop(self, *, drain: bool) -> None:
        """Read no more; with `drain` the input counts as ended."""
        self._stopped = True
        self.ended = self.ended or drain

    @property
    def records(self) -> int:
        """How many records were read from the splits of this subtask, before a restore too."""
        return sum(progress.records for progress in self._splits)

    @property
    def exhausted(self) -> bool:
        """Whether there is no split left to read for now."""
        return self.ended or not self._unfinished

    @property
    def event_time(self) -> EventTimeAssignment:
        """The watermark strategy at work."""
        return self._event_time

    @property
    def event_time_ms(self) -> int | None:
        """The watermark that was last emitted, or None."""
        return self._event_time.watermark

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        for progress in self._splits:
            progress.largest = self._event_time.largest_of(progress.split.split_id)
        self._state.update([split.encode() for split in (*self._splits, *self._unlisted)])
        self._event_time.snapshot_state(ended=self.ended)

        if self._positions is not None:
            self._positions[checkpoint_id] = [
                (each.split, position)
                for each in self._splits
                if (position := each.current_position()) is not None
            ]

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        if self._positions:
            complete = self._positions.get(checkpoint_id)
            self._positions = {n: p for n, p in self._positions.items() if n > checkpoint_id}
            if complete:
                self._source.checkpoint_complete(complete)

    def process_batch(self, batch: Batch) -> None:
        raise AssertionError("A source has no input.")

    def finish(self) -> None:
        self.output.emit_watermark(MAX_WATERMARK)

    def close(self) -> None:
        for progress in self._splits:
            if progress.reader is not None:
                progress.reader.close()
                progress.reader = None


def _batch_of(records: Records | ColumnarRecords) -> Batch:
    if isinstance(records, ColumnarRecords):
        position = records.timestamp_position
        return ColumnarBatch(
            records.columns, None if position is None else records.columns[position]
        )
    return Batch(records.values, records.timestamps)
