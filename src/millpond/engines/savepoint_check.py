"""What would become of a snapshot's state if a program started from it, without starting it."""

from __future__ import annotations

import enum
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, final

from millpond.checkpoint.completed import CompletedCheckpoint
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.location import CheckpointLocation
from millpond.datastream.operator_spec import SinkFunctionSpec, SinkSpec
from millpond.engines.declared_states import DeclaredStates
from millpond.engines.job_setup import compile_program
from millpond.errors import MillpondError, SavepointMismatchError
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import PYTHON_STATE_PREFIX, timer_service_of
from millpond.runtime.restore import restore_from
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.heap.restored_state import RestoredState
from millpond.state.operator_state.redistribution import redistribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.datastream.engine import Program
    from millpond.formats.handles import OperatorState, StreamHandle
    from millpond.runtime.job_graph import JobGraph, JobVertex, OperatorNode

__all__ = ("CheckedProgram", "CheckingEngine", "StateVerdict", "Verdict", "check_savepoint")

_SAMPLE_ROWS = 10_000


class Verdict(enum.StrEnum):
    """What becomes of a state."""

    RESTORED = "restored"
    MIGRATED = "migrated"
    REFUSED = "refused"
    DROPPED = "dropped"
    CARRIED = "carried along"
    NEW = "new"


@final
@dataclass(frozen=True, slots=True)
class StateVerdict:
    """One state of one operator; `state` is empty where it is about the whole operator."""

    operator: str
    state: str
    verdict: Verdict
    detail: str = ""


@final
class CheckedProgram(BaseException):
    """Ends a program at its first `execute`; holds what was found."""

    def __init__(self, verdicts: list[StateVerdict]) -> None:
        super().__init__("The program was only checked.")
        self.verdicts = verdicts


@final
class CheckingEngine:
    """Checks a snapshot against a program instead of running it; all methods raise CheckedProgram.

    `open()` of the functions is called, in this process, because that is where states are
    declared; sources and sinks are not opened, and no record is processed.
    """

    def __init__(self, path: str, *, allow_non_restored_state: bool) -> None:
        self._path = path
        self._allow = allow_non_restored_state

    def execute(self, program: Program) -> JobExecutionResult:
        """Check."""
        self._check(program)

    def execute_async(self, program: Program) -> JobClient:
        """Check."""
        self._check(program)

    def collect(self, program: Program, collect_id: str) -> Iterator[Any]:
        """Check."""
        del collect_id
        self._check(program)

    def _check(self, program: Program) -> NoReturn:
        loaded = load_checkpoint(self._path)
        graph = compile_program(program)
        raise CheckedProgram(check_savepoint(loaded, graph, allow_non_restored_state=self._allow))


def check_savepoint(
    loaded: LoadedCheckpoint, graph: JobGraph, *, allow_non_restored_state: bool
) -> list[StateVerdict]:
    """Return what becomes of every state, in the order of the job, then of the snapshot.

    Declared types are compared with the recorded ones, and the first rows of each state decoded
    with them: at most 10,000, so the check takes about the time of reading these.

    Raises:
        SnapshotCorruptedError: a stream of the snapshot is damaged.
    """
    location = CheckpointLocation(loaded.metadata.checkpoint_id, loaded.external_path)
    checkpoint = CompletedCheckpoint(
        loaded.metadata.checkpoint_id, loaded.metadata, location, loaded.source.checksums
    )
    verdicts: list[StateVerdict] = []
    try:
        graph, _ = restore_from(checkpoint, graph, allow_non_restored_state=True)
    except SavepointMismatchError as error:
        verdicts.append(StateVerdict("the job", "", Verdict.REFUSED, str(error)))
    stored = {operator.operator_id: operator for operator in loaded.metadata.operators}
    for vertex in graph.vertices:
        for node in vertex.operators:
            operator = stored.pop(node.operator_id, None)
            verdicts.extend(_OperatorCheck(loaded, graph, vertex, node, operator).run())
    lost = Verdict.DROPPED if allow_non_restored_state else Verdict.REFUSED
    for operator in stored.values():
        name = operator.uid or operator.name or operator.operator_id.hex()
        if any(not subtask.is_empty for subtask in operator.subtasks.values()):
            verdicts.append(StateVerdict(name, "", lost, "no operator of the job has its id"))
    return verdicts


@final
class _OperatorCheck:
    def __init__(
        self,
        loaded: LoadedCheckpoint,
        graph: JobGraph,
        vertex: JobVertex,
        node: OperatorNode,
        operator: OperatorState | None,
    ) -> None:
        self._reader = loaded.reader
        self._graph = graph
        self._vertex = vertex
        self._node = node
        self._operator = operator
        self._label = node.uid or node.name

    def run(self) -> list[StateVerdict]:
        try:
            keyed = {} if self._operator is None else self._keyed_samples(self._operator)
            lists = redistribute(self._operator, self._vertex.parallelism, self._reader)[0]
        except SavepointMismatchError as error:
            return [self._verdict("", Verdict.REFUSED, str(error))]
        if self._is_connector():
            return [
                self._verdict(_user_name(name), Verdict.RESTORED, "of a source or sink; not opened")
                for name in lists.states
            ]
        with tempfile.TemporaryDirectory(prefix="millpond-check-") as directory:
            declared = DeclaredStates(
                self._graph, self._vertex, self._node, keyed, lists, Path(directory)
            )
            failure = declared.open()
        found: list[StateVerdict] = []
        if failure is not None:
            found.append(self._verdict("", Verdict.REFUSED, failure))
        for name, outcome in declared.outcomes.items():
            found.append(self._verdict(_user_name(name), *_judged(outcome)))
        for name in (*keyed, *lists.states):
            if name not in declared.outcomes:
                detail = "open() did not declare it"
                found.append(self._verdict(_user_name(name), Verdict.CARRIED, detail))
        return found

    def _verdict(self, state: str, verdict: Verdict, detail: str) -> StateVerdict:
        return StateVerdict(self._label, state, verdict, detail)

    def _is_connector(self) -> bool:
        if self._node.is_source or not isinstance(self._node.specification, bytes):
            return True
        import cloudpickle

        # The program's own, as every task unpickles it.
        specification = cloudpickle.loads(self._node.specification)
        return isinstance(specification, SinkSpec | SinkFunctionSpec)

    def _keyed_samples(self, operator: OperatorState) -> dict[str, RestoredState]:
        handles = [handle for subtask in operator.subtasks.values() for handle in subtask.keyed]
        if handles and self._node.keyed is None:
            raise SavepointMismatchError("The snapshot has keyed state, the operator has no keys.")
        samples: dict[str, RestoredState] = {}
        for handle in handles:
            with ExitStack() as opened:

                def open_stream(stream: StreamHandle, opened: ExitStack = opened) -> BinaryIO:
                    return opened.enter_context(self._reader.open(stream))

                body = open_keyed_state(handle, open_stream, operator.max_parallelism)
                assert self._node.keyed is not None
                key_type = key_serializer_for(self._node.keyed.key_type).type_info
                wanted = key_serializer_snapshot(key_type).class_name
                found = body.header.key_serializer.class_name
                if body.header.states and found != wanted:
                    raise SavepointMismatchError(
                        "The keys in the snapshot are of another type.",
                        snapshot=found,
                        declared=wanted,
                    )
                states = [
                    samples.setdefault(meta.name, RestoredState(meta))
                    for meta in body.header.states
                ]
                sampled = 0
                for group, state_id, entries in body.blocks():
                    rows = states[state_id].rows.setdefault(group, [])
                    rows.extend(islice(entries, _SAMPLE_ROWS))
                    sampled += len(entries)
                    if sampled > _SAMPLE_ROWS * max(1, len(states)):
                        break
        return samples


def _judged(outcome: MillpondError | bool | None) -> tuple[Verdict, str]:
    if outcome is None:
        return Verdict.NEW, "the snapshot does not have it"
    if isinstance(outcome, MillpondError):
        return Verdict.REFUSED, str(outcome)
    if outcome:
        return Verdict.MIGRATED, "fields were added or removed"
    return Verdict.RESTORED, ""


def _user_name(state_name: str) -> str:
    timers = timer_service_of(state_name)
    if timers is not None:
        return f"{timers[1]} timers"
    return state_name.removeprefix(PYTHON_STATE_PREFIX)
