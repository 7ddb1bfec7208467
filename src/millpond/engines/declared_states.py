"""`DeclaredStates`: opens one operator to see which states it declares, and whether they fit."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from millpond.checkpoint.reader import SnapshotSource
from millpond.clock import ManualClock
from millpond.errors import MillpondError, SerializationError
from millpond.formats.composite_key import prefix_length_of
from millpond.formats.pyflink_serializers import PYTHON_STATE_PREFIX, timer_state_name
from millpond.formats.pyflink_values import decode_ttl_chunks, join_chunks
from millpond.metrics.registry import MetricRegistry
from millpond.operators.build import build_operator
from millpond.operators.operator import OperatorContext
from millpond.runtime.output import OperatorOutput
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.keyed_backend import KeyedBackendParameters, KeyedStateBackend
from millpond.state.heap.entry_codec import EntryCodec
from millpond.state.heap.restored_entries import load_entries, load_timers
from millpond.state.heap.store import HeapStateStore
from millpond.state.heap.timer_queue import HeapTimerQueue
from millpond.state.operator_state.backend import OperatorStateBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from millpond.datastream.state import State
    from millpond.formats.handles import KeyedHandle
    from millpond.runtime.job_graph import JobGraph, JobVertex, OperatorNode
    from millpond.state.contract.namespace import NamespaceSerializer
    from millpond.state.contract.snapshot import Snapshot, SnapshotOptions, SnapshotStreams
    from millpond.state.contract.timer_queue import TimerQueue
    from millpond.state.heap.restored_state import RestoredState
    from millpond.state.operator_state.restored_state import RestoredOperatorState

__all__ = ("DeclaredStates",)

Outcome = MillpondError | bool | None
"""An error; whether the bytes change when written again; None for a state that is new."""


@final
class DeclaredStates:
    """One operator with empty state, and rows of a snapshot to compare its declarations with.

    Attributes:
        outcomes: by the name of a state in snapshots.
    """

    def __init__(
        self,
        graph: JobGraph,
        vertex: JobVertex,
        node: OperatorNode,
        keyed: Mapping[str, RestoredState],
        lists: RestoredOperatorState,
        directory: Path,
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._node = node
        self._lists = lists
        clock = ManualClock(0)
        backend = None
        if node.keyed is not None:
            parameters = KeyedBackendParameters(
                job_id="0" * 32,
                operator_id=node.operator_id,
                operator_name=node.name,
                subtask_index=0,
                key_serializer=key_serializer_for(node.keyed.key_type),
                key_group_range=KeyGroupRange(0, vertex.max_parallelism - 1),
                max_parallelism=vertex.max_parallelism,
                clock=clock,
                reader=SnapshotSource(None, {}).reader(),
                local_directories=(directory,),
            )
            backend = _ComparingBackend(parameters, keyed, self.outcomes)
        self._context = OperatorContext(
            job_id="0" * 32,
            job_name=graph.name,
            operator_id=node.operator_id,
            name=node.name,
            subtask_index=0,
            parallelism=vertex.parallelism,
            max_parallelism=vertex.max_parallelism,
            attempt=0,
            clock=clock,
            output=OperatorOutput((), {}),
            operator_state=OperatorStateBackend(node.name, lists),
            metric_group=MetricRegistry().group({}),
            keyed_backend=backend,
            side_output_tags=node.side_output_tags,
            job_parameters=graph.job_parameters,
        )

    def open(self) -> str | None:
        """Open and close the operator; return what went wrong, None if nothing did."""
        failure: str | None = None
        try:
            operator = build_operator(self._node.specification, lambda *_: None)
            operator.setup(self._context)
            try:
                operator.initialize_state()
                operator.open()
            finally:
                operator.close()
        except MillpondError as error:
            failure = str(error)
        remaining = self._context.operator_state.unregistered()
        for name in self._lists.states:
            if name not in remaining:
                self.outcomes[name] = False
        return failure


@final
class _ComparingBackend(KeyedStateBackend):
    """An empty heap backend that compares what is registered with rows of a snapshot."""

    def __init__(
        self,
        parameters: KeyedBackendParameters,
        samples: Mapping[str, RestoredState],
        outcomes: dict[str, Outcome],
    ) -> None:
        super().__init__(parameters)
        self._empty = HeapStateStore().create_keyed_backend(parameters)
        self._samples = samples
        self._outcomes = outcomes

    def get_state(self, definition: StateDefinition) -> State:
        name = PYTHON_STATE_PREFIX + definition.name
        if name not in self._outcomes:
            sample = self._samples.get(name)
            self._outcomes[name] = None if sample is None else self._compare(sample, definition)
        return self._empty.get_state(definition)

    def _compare(self, sample: RestoredState, definition: StateDefinition) -> Outcome:
        entries: dict[Any, Any] = {}
        try:
            load_entries(sample, definition, entries, self.parameters)
            return _changes_bytes(sample, definition, self.parameters)
        except MillpondError as error:
            return error

    def timer_queue(self, service: str, domain: str, namespace: NamespaceSerializer) -> TimerQueue:
        name = timer_state_name(service, domain)
        sample = self._samples.get(name)
        # A service without timers in the snapshot is nothing to tell.
        if sample is not None:
            try:
                queue = HeapTimerQueue(lambda *_: b"")
                load_timers(sample, namespace, queue, self.parameters)
                self._outcomes[name] = False
            except MillpondError as error:
                self._outcomes[name] = error
        return self._empty.timer_queue(service, domain, namespace)

    def keys(self, state_name: str, namespace: Any) -> Iterator[Any]:
        return self._empty.keys(state_name, namespace)

    def keys_and_namespaces(self, state_name: str) -> Iterator[tuple[Any, Any]]:
        return self._empty.keys_and_namespaces(state_name)

    def snapshot(
        self, checkpoint_id: int, streams: SnapshotStreams, options: SnapshotOptions
    ) -> Snapshot[KeyedHandle | None]:
        return self._empty.snapshot(checkpoint_id, streams, options)

    def entry_count(self, state_name: str) -> int:
        return self._empty.entry_count(state_name)

    def close(self) -> None:
        self._empty.close()


def _changes_bytes(
    sample: RestoredState, definition: StateDefinition, parameters: KeyedBackendParameters
) -> bool:
    """Tell whether rows get other bytes when they are read and written again."""
    codec = EntryCodec(definition)
    prefix_length = prefix_length_of(parameters.max_parallelism)
    for row_key, value in sample.all_rows():
        _, offset = parameters.key_serializer.decode_from(row_key, prefix_length)
        _, offset = definition.namespace.decode_from(row_key, offset)
        entry = codec.load(None, row_key[offset:], value)
        try:
            again = [written for _, written in codec.rows(entry)]
        except SerializationError:
            return True
        if [_elements(definition, each) for each in again] != [_elements(definition, value)]:
            return True
    return False


def _elements(definition: StateDefinition, value: bytes) -> object:
    """Return the bytes of a row; of a list's those of its elements, however they are grouped."""
    if definition.kind != StateKind.LIST:
        return value
    if definition.ttl is None:
        return join_chunks(value)
    timed = groupby(decode_ttl_chunks(value), itemgetter(0))
    return [(timestamp, b"".join([chunk for _, chunk in group])) for timestamp, group in timed]
