"""The contract of operators: what a task calls and what an operator may call."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from millpond.errors import InvalidProgramError, MillpondError, UserCodeError
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.clock import Clock
    from millpond.metrics.registry import MetricGroup
    from millpond.operators.batch import Batch
    from millpond.state.operator_state.backend import OperatorStateBackend

__all__ = ("Ending", "Operator", "OperatorContext", "Output", "TwoInputOperator", "user_code_error")


class Output(Protocol):
    """Where an operator's results go: the next operator of the chain or a channel."""

    def emit(self, batch: Batch) -> None:
        """Hand on a batch; empty ones are allowed."""
        ...

    def emit_watermark(self, timestamp: int) -> None:
        """Hand on a watermark, in ms."""
        ...

    def emit_idle(self, *, idle: bool) -> None:
        """Say that this output holds nothing back for now (or does again)."""
        ...

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        """Hand a batch to a side output; dropped when nobody reads it."""
        ...


@dataclass(slots=True)
class OperatorContext:
    """Everything one subtask of an operator is given before it starts.

    `generic_types` False forbids users' functions state that would be pickled.
    """

    job_id: str
    job_name: str
    operator_id: bytes
    name: str
    subtask_index: int
    parallelism: int
    max_parallelism: int
    attempt: int
    clock: Clock
    output: Output
    operator_state: OperatorStateBackend
    metric_group: MetricGroup
    keyed_backend: KeyedStateBackend | None = None
    side_output_tags: frozenset[str] = frozenset()
    restored_checkpoint_id: int | None = None
    checkpointing_enabled: bool = False
    batch_size: int = 2048
    auto_watermark_interval_ms: int = 200
    job_parameters: Mapping[str, str] = field(default_factory=dict)
    generic_types: bool = True

    @property
    def task_name_with_subtask(self) -> str:
        """Name as Flink writes it: ``name (1/4)#0``."""
        return f"{self.name} ({self.subtask_index + 1}/{self.parallelism})#{self.attempt}"


class Ending(enum.Enum):
    """How far an operator is whose input has ended."""

    DONE = enum.auto()
    WORKING = enum.auto()
    """It goes on at once when it is asked again."""
    WAITING = enum.auto()
    """It waits for something outside."""


class Operator(ABC):
    """One subtask of an operator with one input. Only its task's thread calls it.

    Order of calls: `setup`, `initialize_state`, `open`, then batches, watermarks and snapshots,
    `end_input` and `finish` when the input has ended, `end_job` when that of all tasks has, `close`
    in every case.
    """

    context: OperatorContext
    output: Output

    def setup(self, context: OperatorContext) -> None:
        """Take the context; no state may be touched yet."""
        self.context = context
        self.output = context.output

    def initialize_state(self) -> None:
        """Register and read restored state."""

    def open(self) -> None:
        """Prepare; the user's function is opened here."""

    @abstractmethod
    def process_batch(self, batch: Batch) -> None:
        """Process records in order."""

    def process_watermark(self, timestamp: int) -> None:
        """Event time has reached `timestamp`; fire what is due, then hand it on."""
        self.output.emit_watermark(timestamp)

    def process_idle(self, *, idle: bool) -> None:
        """The input became idle or active; hand it on."""
        self.output.emit_idle(idle=idle)

    def next_processing_time(self) -> int | None:
        """Return when `process_processing_time` is due (ms since the epoch), or None."""
        return None

    def process_processing_time(self, now_ms: int) -> None:
        """Fire processing-time timers that are due."""

    def prepare_snapshot(self, checkpoint_id: int) -> None:
        """Emit what must not wait; called before the barrier is handed on."""

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        """Put what is not yet in state objects into them; the backends are captured next."""

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """A checkpoint is complete."""

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """A checkpoint was given up."""

    def end_input(self) -> Ending:
        """The input has ended; do some of what is left to do, and say how far that is.

        Called again, cycle by cycle, until it is done.
        """
        return Ending.DONE

    def finish(self) -> None:
        """The input has ended and the last watermark has passed; emit what is left."""

    def end_job(self) -> None:
        """Every task of the job has finished; make visible what no checkpoint will."""

    def close(self) -> None:
        """Release everything; the user's function is closed here. May follow a failure."""


class TwoInputOperator(Operator):
    """An operator with two inputs; watermarks are the minimum of both, computed by the task."""

    @abstractmethod
    def process_first(self, batch: Batch) -> None:
        """Process records of the first input."""

    @abstractmethod
    def process_second(self, batch: Batch) -> None:
        """Process records of the second input."""

    def process_batch(self, batch: Batch) -> None:
        """Process records of the first input."""
        self.process_first(batch)


def user_code_error(
    error: BaseException, context: OperatorContext, what: str, **where: Any
) -> NoReturn:
    """Raise `UserCodeError` for an exception that came out of the user's function.

    `what` names the function, for example ``CountFlights.process_element``. The current key is
    added where there is one. Errors of Millpond itself pass through unchanged. What a key that
    has no hash leads to is the key selector's error, and said so.
    """
    if isinstance(error, MillpondError):
        raise error
    if context.keyed_backend is not None and context.keyed_backend.current_key is not NO_KEY:
        key = context.keyed_backend.current_key
        where.setdefault("key", repr(key))
        if isinstance(error, TypeError) and not _has_hash(key):
            raise InvalidProgramError(
                f"A key of type {type(key).__name__} has no hash.",
                hint="Let the key selector return a value that cannot change, as a tuple.",
                operator=context.name,
                **where,
            ) from error
    raise UserCodeError(
        f"{what} raised {type(error).__name__}: {error}.",
        operator=context.name,
        subtask=f"{context.subtask_index + 1}/{context.parallelism}",
        **where,
    ) from error


def _has_hash(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
