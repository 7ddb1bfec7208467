"""The interval join of two keyed streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.common.typeinfo import Types
from millpond.datastream.functions import ProcessJoinFunction
from millpond.datastream.state import MapState, MapStateDescriptor
from millpond.errors import InvalidProgramError
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.operators.operator import TwoInputOperator, user_code_error
from millpond.operators.results import Results
from millpond.operators.timer_service import InternalTimerService
from millpond.operators.user_function import UserFunctionOperator, method_name
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.namespace import VOID_NAMESPACE

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.operator_spec import IntervalJoinSpec
    from millpond.datastream.output_tag import OutputTag

__all__ = ("IntervalJoinOperator",)


@final
class _Context(ProcessJoinFunction.Context):
    __slots__ = ("left", "right")

    def __init__(self) -> None:
        self.left = self.right = MIN_WATERMARK

    def get_left_timestamp(self) -> int:
        return self.left

    def get_right_timestamp(self) -> int:
        return self.right

    def get_timestamp(self) -> int:
        return max(self.left, self.right)


@final
@dataclass(slots=True)
class _Side:
    """One input: its records by timestamp, and where its partners are from a record's time on."""

    is_left: bool
    name: str
    buffer: MapState[int, list[Any]]
    earliest_ms: int
    latest_ms: int
    late_tag: OutputTag | None


@final
class IntervalJoinOperator(UserFunctionOperator, TwoInputOperator):
    """Keeps the records of both sides by timestamp and pairs each new one with the other side.

    The rules are Flink's (IntervalJoinOperator): a record is deleted when the watermark has passed
    the last partner it could have. A record that is deleted at a time is the only one of its side
    that is, so that one timer without a namespace does for both sides.

    Attributes:
        late_records_dropped: counts the records behind the watermark that had no side output.
    """

    function: ProcessJoinFunction

    def __init__(self, spec: IntervalJoinSpec) -> None:
        super().__init__(spec.function)
        self._spec = spec

    def open(self) -> None:
        super().open()
        backend = self.context.keyed_backend
        assert backend is not None
        self._backend = backend
        self._timers = InternalTimerService(backend, self.context.clock)
        self._results = Results(self.context)
        self._join_context = _Context()
        self.late_records_dropped = self.context.metric_group.counter("numLateRecordsDropped")
        spec = self._spec
        lower, upper = spec.lower_bound_ms, spec.upper_bound_ms
        left = self._buffer("LEFT_BUFFER", spec.left_type)
        right = self._buffer("RIGHT_BUFFER", spec.right_type)
        self._left = _Side(True, "left", left, lower, upper, spec.left_late_tag)
        self._right = _Side(False, "right", right, -upper, -lower, spec.right_late_tag)

    def process_first(self, batch: Batch) -> None:
        self._process(batch, self._left, self._right)

    def process_second(self, batch: Batch) -> None:
        self._process(batch, self._right, self._left)

    def process_batch(self, batch: Batch) -> None:
        self.process_first(batch)

    def process_watermark(self, timestamp: int) -> None:
        self._timers.advance_watermark(timestamp, self._clean_up)
        self.output.emit_watermark(timestamp)

    def _buffer(self, name: str, element_type: TypeInformation | None) -> MapState[int, list[Any]]:
        list_type = Types.LIST(element_type or Types.PICKLED_BYTE_ARRAY())
        return self.runtime_context.get_map_state(MapStateDescriptor(name, Types.LONG(), list_type))

    def _process(self, batch: Batch, own: _Side, other: _Side) -> None:
        if batch.timestamps is None:
            raise InvalidProgramError(
                f"Records of the {own.name} input of an interval join have no timestamps.",
                hint="Call assign_timestamps_and_watermarks on it.",
                operator=self.context.name,
            )
        assert batch.keys is not None
        backend, watermark = self._backend, self._timers.current_watermark
        late: list[tuple[Any, int]] = []
        for key, value, timestamp in zip(batch.keys, batch.values, batch.timestamps, strict=True):
            if timestamp < watermark:
                late.append((value, timestamp))
                continue
            backend.current_key = key
            own.buffer.put(timestamp, [*(own.buffer.get(timestamp) or ()), value])
            last_partner_ms = timestamp + max(own.latest_ms, 0)
            self._timers.register_event_time_timer(VOID_NAMESPACE, last_partner_ms)
            self._pair(value, timestamp, own, other)
        backend.current_key = NO_KEY
        self._results.flush()
        if late:
            self._put_aside(late, own)

    def _pair(self, value: Any, timestamp: int, own: _Side, other: _Side) -> None:
        earliest, latest = timestamp + own.earliest_ms, timestamp + own.latest_ms
        partners = [entry for entry in other.buffer.items() if earliest <= entry[0] <= latest]
        # In the order of time: what the stores do by themselves differs.
        partners.sort(key=_timestamp_of)
        context, process = self._join_context, self.function.process_element
        try:
            for other_timestamp, values in partners:
                result_timestamp = max(timestamp, other_timestamp)
                for partner in values:
                    if own.is_left:
                        context.left, context.right = timestamp, other_timestamp
                        results = process(value, partner, context)
                    else:
                        context.left, context.right = other_timestamp, timestamp
                        results = process(partner, value, context)
                    self._results.add(results, result_timestamp)
        except Exception as error:
            name = method_name(self.function, "process_element")
            user_code_error(error, self.context, name, timestamp=timestamp)

    def _clean_up(self, timestamp: int, namespace: Any) -> None:
        self._left.buffer.remove(timestamp - max(self._left.latest_ms, 0))
        self._right.buffer.remove(timestamp - max(self._right.latest_ms, 0))

    def _put_aside(self, late: list[tuple[Any, int]], side: _Side) -> None:
        if side.late_tag is None:
            self.late_records_dropped.inc(len(late))
            return
        values, timestamps = [value for value, _ in late], [time for _, time in late]
        self.output.emit_side(side.late_tag.tag_id, Batch(values, timestamps))


def _timestamp_of(entry: tuple[int, list[Any]]) -> int:
    return entry[0]
