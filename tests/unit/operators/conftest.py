"""Runs one operator by hand, over the heap store, with a clock that the test moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.clock import ManualClock
from millpond.common.typeinfo import Types
from millpond.datastream.operator_spec import WindowSpec
from millpond.metrics.registry import MetricRegistry
from millpond.operators.batch import Batch
from millpond.operators.operator import OperatorContext
from millpond.operators.window import window_operator
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.backend import RocksDBKeyedStateBackend
from millpond.testing.backend_harness import BackendHarness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.formats.handles import KeyedHandle
    from millpond.state.contract.key_group import KeyGroupRange


class RecordedOutput:
    """Keeps what an operator emits, in order."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.timestamps: list[int] = []
        self.watermarks: list[int] = []
        self.side: dict[str, list[tuple[Any, int | None]]] = {}

    def emit(self, batch: Batch) -> None:
        self.results.extend(batch.values)
        assert batch.timestamps is not None
        assert len(batch.timestamps) == len(batch.values)
        self.timestamps.extend(batch.timestamps)

    def emit_watermark(self, timestamp: int) -> None:
        self.watermarks.append(timestamp)

    def emit_idle(self, *, idle: bool) -> None:
        raise AssertionError(idle)

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        timestamps = batch.timestamps or [None] * len(batch.values)
        records = zip(batch.values, timestamps, strict=True)
        self.side.setdefault(tag_id, []).extend(records)

    def take(self) -> list[Any]:
        """Return the results since the last call."""
        taken, self.results, self.timestamps = self.results, [], []
        return taken


class WindowHarness:
    """A window operator of one subtask, its output and its clock."""

    def __init__(
        self,
        *,
        backends: BackendHarness | None = None,
        restored: Iterable[KeyedHandle | None] = (),
        key_groups: KeyGroupRange | None = None,
        **spec: Any,
    ) -> None:
        if backends is None:
            key_type = Types.PICKLED_BYTE_ARRAY()
            backends = BackendHarness(HeapStateStore(), Path(), key_type=key_type)
        self.clock = ManualClock()
        self.output = RecordedOutput()
        self.backend = backends.create(restored, key_groups)
        self.context = OperatorContext(
            job_id="0" * 32,
            job_name="job",
            operator_id=b"o" * 16,
            name="windows",
            subtask_index=0,
            parallelism=1,
            max_parallelism=128,
            attempt=0,
            clock=self.clock,
            output=self.output,
            metric_group=MetricRegistry().group({}),
            operator_state=None,  # type: ignore[arg-type]  # windows have none
            keyed_backend=self.backend,
        )
        self.operator = window_operator(WindowSpec(**spec))
        self.operator.setup(self.context)
        self.operator.initialize_state()
        self.operator.open()

    def send(self, *records: tuple[Any, Any, int]) -> None:
        """Process records (key, value, timestamp) as one batch."""
        self.send_values(
            [value for _, value, _ in records],
            [key for key, _, _ in records],
            [timestamp for _, _, timestamp in records],
        )

    def send_values(
        self, values: list[Any], keys: Iterable[Any], timestamps: list[int] | None = None
    ) -> None:
        """Process values, with timestamps or without."""
        self.operator.process_batch(Batch(values, timestamps, list(keys)))

    def watermark(self, timestamp: int) -> list[Any]:
        """Advance the watermark and return what was emitted since the last call."""
        self.operator.process_watermark(timestamp)
        assert self.output.watermarks[-1] == timestamp
        return self.output.take()

    def advance(self, now_ms: int) -> list[Any]:
        """Advance processing time and return what was emitted since the last call."""
        self.clock.set(now_ms)
        self.operator.process_processing_time(now_ms)
        return self.output.take()

    @property
    def late_records_dropped(self) -> int:
        """How many late records went nowhere."""
        return self.operator.late_records_dropped.get_count()

    def rows(self) -> dict[str, int]:
        """Return how many rows each state and timer queue would have in a snapshot, if any."""
        self.operator.snapshot_state(1, 0)
        backend: Any = self.backend
        if isinstance(backend, RocksDBKeyedStateBackend):
            backend._flush()
            rows = {
                name: sum(1 for _ in table.family.scan_keys())
                for name, table in backend._tables.items()
            }
        else:
            rows = {name: len(state.table) for name, state in backend._states.items()} | {
                domain: len(timers.queue) for (_, domain), timers in backend._timers.items()
            }
        return {name: count for name, count in rows.items() if count}


@pytest.fixture
def windows() -> type[WindowHarness]:
    """The harness; call it with the fields of a WindowSpec."""
    return WindowHarness
