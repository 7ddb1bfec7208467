"""`FunctionSource`: reads what a user's `SourceFunction` yields."""

from __future__ import annotations

import copy
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

from millpond.clock import SystemClock
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.functions import SourceFunction
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock

__all__ = ("FunctionSource",)

# The interval of Flink's watermarks. Long enough that a function that does not wait fills a batch.
_LONGEST_READ_S: Final = 0.2


@final
class FunctionSource(Source):
    """One split a subtask; its position is the number of records.

    After a restore the function runs again and so many records are skipped, so a function that
    yields the same records in every run is read exactly once.

    A function that waits for its records holds nobody up for a whole batch: what it has yielded is
    handed on after 200 ms, or with the next record if that takes longer. Event time moves there.
    """

    has_timestamps = False

    def __init__(self, function: SourceFunction) -> None:
        self._function = function

    @property
    def function_ends(self) -> bool:
        """Whether the function says that it ends."""
        return self._function.bounded

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return a split for each subtask."""
        return [
            Split(f"{index}/{parallelism}", {"index": index, "parallelism": parallelism})
            for index in range(parallelism)
        ]

    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Run the function up to the position."""
        context = _Context(split.payload["index"], split.payload["parallelism"], clock)
        # A copy: cancel() of an earlier attempt, or of another subtask, must not end this one.
        skip = position["records"] if position else 0
        return _Reader(copy.deepcopy(self._function), context, clock, skip)


@final
class _Context(SourceFunction.SourceContext):
    def __init__(self, index: int, parallelism: int, clock: Clock) -> None:
        self._index = index
        self._parallelism = parallelism
        self._clock = clock

    def get_index_of_this_subtask(self) -> int:
        return self._index

    def get_number_of_parallel_subtasks(self) -> int:
        return self._parallelism

    def current_processing_time(self) -> int:
        return self._clock.now_ms()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"A source context has no {name!r}: run() yields its records.")


@final
class _Reader(SplitReader):
    def __init__(
        self, function: SourceFunction, context: _Context, clock: Clock, skip: int
    ) -> None:
        self._function = function
        # Asked for each record: the system's own function costs a third of the clock's method.
        self._now = time.monotonic if isinstance(clock, SystemClock) else clock.monotonic
        records = function.run(context)
        if records is None:
            raise InvalidProgramError(
                f"{type(function).__name__}.run returned None.",
                hint="Yield the records, or return an iterable of them.",
            )
        self._records = iter(records)
        self._count = sum(1 for _ in islice(self._records, skip))
        self._finished = False

    def read(self, limit: int) -> Records | None:
        now = self._now
        deadline = now() + _LONGEST_READ_S
        values: list[Any] = []
        append = values.append
        for value in islice(self._records, limit):
            append(value)
            if now() >= deadline:
                break
        else:
            self._finished = len(values) < limit
        self._count += len(values)
        return Records(values)

    @property
    def finished(self) -> bool:
        return self._finished

    def position(self) -> Mapping[str, Any]:
        return {"records": self._count}

    def close(self) -> None:
        if not self._finished:
            self._function.cancel()
