"""The contract of replayable sources: `Source` lists splits, a `SplitReader` reads one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock
    from millpond.common.typeinfo import TypeInformation
    from millpond.common.watermark_strategy import WatermarkStrategy

__all__ = ("ColumnarRecords", "Records", "Source", "Split", "SplitReader")


@dataclass(slots=True)
class Records:
    """Some records of a split, in order.

    `timestamps` are event times in ms that the source itself knows, or None.
    """

    values: list[Any]
    timestamps: list[int] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(slots=True)
class ColumnarRecords:
    """Some records of a split as numpy arrays of one length, a field each.

    `timestamp_position` is the field that is the event time in ms, or None.
    """

    columns: Sequence[Any]
    timestamp_position: int | None = None

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True, slots=True)
class Split:
    """A part of the input that one subtask reads from start to end.

    `split_id` is unique and stable over restarts; `payload` holds what the reader needs (numbers,
    text, bytes, lists and maps of them: it is stored in checkpoints as msgpack).
    """

    split_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)


class SplitReader(ABC):
    """Reads one split; used by one task thread."""

    @abstractmethod
    def read(self, limit: int) -> Records | ColumnarRecords | None:
        """Return the next records, at most `limit`; None when there are none at the moment.

        A replayable reader returns exactly `limit` records unless it reaches the end of the split
        or of what is there now. It must not block for longer than some ms.

        Raises:
            DataFileError: the input is damaged; names the file and position.
        """

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the split was read to its end; an unbounded split never is."""

    @abstractmethod
    def position(self) -> Mapping[str, Any]:
        """Return what `Source.open_split` needs to go on after the last record returned.

        Stored in checkpoints as msgpack.
        """

    def close(self) -> None:
        """Release files; may be called twice."""


class Source(ABC):
    """Where records come from. Describes; nothing is opened before the job runs.

    Attributes:
        bounded: the input ends.
        batch_multiple: how many times the usual number of records a batch of this source has.
        has_timestamps: whether its records come with event times; None: they may.
        stops: all its splits come to an end, though it is not bounded: it ends with them.
    """

    bounded: bool = True
    stops: bool = False
    batch_multiple: int = 1
    has_timestamps: bool | None = None

    @abstractmethod
    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return all splits that are known now.

        Called at each start; an unbounded source is asked again every `discovery_interval_ms`.
        Splits whose id a checkpoint holds go on where they were; others start from the beginning.
        Which subtask reads a split depends only on the order of this list, so keep it stable, or
        say by `subtask_of` who reads what.
        """

    def subtask_of(self, split: Split, index: int, parallelism: int) -> int:
        """Return who reads a split; `index` is its place in the list of `splits`.

        The same split must have the same reader as long as the parallelism is the same.
        """
        return index % parallelism

    def begin(self, splits: Sequence[Split], *, first: bool) -> Sequence[Split]:
        """Return the same splits with what is found out once, before they are first read.

        Called for splits that no checkpoint holds; their payload will be in all further ones.
        `first` is False where the job has read other splits before.
        """
        return splits

    def checkpoint_complete(self, positions: Sequence[tuple[Split, Mapping[str, Any]]]) -> None:
        """Take note that a checkpoint with these positions, of one subtask, is complete.

        Must not raise for what the job can do without.
        """

    @abstractmethod
    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Open a split at a position of an earlier reader, or at its start."""

    @property
    def discovery_interval_ms(self) -> int | None:
        """How often to look for new splits; None: only at the start."""
        return None

    def produced_type(self) -> TypeInformation | None:
        """Return the type of the records where the program names none; None: any."""
        return None

    def default_watermark_strategy(self) -> WatermarkStrategy | None:
        """Return the strategy that is used where the program names none."""
        return None
