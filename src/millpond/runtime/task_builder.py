"""Builds the tasks of a worker from a deployment: operators, stores, channels, restored state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.operators.batch import BatchResources
from millpond.operators.build import build_operator
from millpond.operators.operator import Operator, OperatorContext
from millpond.runtime.channel import Channel
from millpond.runtime.flink_report import FlinkReport
from millpond.runtime.in_flight_restore import restore_in_flight
from millpond.runtime.input_gate import InputGate
from millpond.runtime.output import ChainedOutput, EdgeOutput, OperatorOutput
from millpond.runtime.partitioner import partitioner_for
from millpond.runtime.task import Task
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import KeyGroupRange, key_group_range
from millpond.state.contract.keyed_backend import (
    KeyedBackendParameters,
    KeyedStateBackend,
    StateStore,
)
from millpond.state.operator_state.backend import OperatorStateBackend
from millpond.state.operator_state.redistribution import redistribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from millpond.clock import Clock
    from millpond.filesystem import FileSystemResolver
    from millpond.formats.handles import (
        KeyedHandle,
        OperatorState,
        SubtaskState,
    )
    from millpond.metrics.registry import MetricGroup, MetricRegistry
    from millpond.runtime.job_graph import JobGraph, JobVertex, OperatorNode
    from millpond.runtime.message import Deploy
    from millpond.state.contract.snapshot import SnapshotReader

__all__ = ("TaskSurroundings", "build_tasks")


@dataclass(frozen=True, slots=True)
class TaskSurroundings:
    """What all tasks of a worker share."""

    store: StateStore | None
    reader: SnapshotReader
    resolve: FileSystemResolver
    clock: Clock
    metrics: MetricRegistry
    local_directories: Sequence[Path]
    batch_size: int
    auto_watermark_interval_ms: int
    sort_memory_bytes: int
    aligned: bool
    send_collected: Callable[[str, int, Sequence[Any]], None]


def build_tasks(deploy: Deploy, surroundings: TaskSurroundings) -> list[Task]:
    """Build all tasks in topological order; nothing is opened yet."""
    return _Builder(deploy, surroundings).build()


@final
class _Builder:
    def __init__(self, deploy: Deploy, surroundings: TaskSurroundings) -> None:
        self._deploy = deploy
        self._graph: JobGraph = deploy.graph
        self._around = surroundings
        restore = deploy.restore
        self._restored: Mapping[bytes, OperatorState] = restore.operators if restore else {}
        self._checkpoint_id = restore.checkpoint_id if restore else None
        self._reuse_restored_files = restore is None or restore.owned
        # By edge number and sending subtask: the channels to all receiving subtasks.
        self._channels: dict[int, list[list[Channel]]] = {}
        self._batch_resources: BatchResources | None = None
        if self._graph.batch:
            self._batch_resources = BatchResources(
                surroundings.sort_memory_bytes, surroundings.local_directories[0]
            )

    def build(self) -> list[Task]:
        for number, edge in enumerate(self._graph.edges):
            senders = self._graph.vertices[edge.source_vertex].parallelism
            receivers = self._graph.vertices[edge.target_vertex].parallelism
            self._channels[number] = [
                [Channel(edge.input_index, number, sender) for _ in range(receivers)]
                for sender in range(senders)
            ]
        restore_in_flight(self._graph, self._restored, self._channels, self._around.reader)
        return [task for vertex in _topological(self._graph) for task in self._build_vertex(vertex)]

    def _build_vertex(self, vertex: JobVertex) -> list[Task]:
        restored = {
            node.operator_id: redistribute(
                self._restored.get(node.operator_id), vertex.parallelism, self._around.reader
            )
            for node in vertex.operators
        }
        tasks = []
        report = FlinkReport()
        for index in range(vertex.parallelism):
            backends = {
                node.operator_id: OperatorStateBackend(node.name, restored[node.operator_id][index])
                for node in vertex.operators
            }
            task = self._build_task(vertex, index, backends)
            task.flink_report = report
            tasks.append(task)
        return tasks

    def _build_task(
        self, vertex: JobVertex, index: int, operator_states: Mapping[bytes, OperatorStateBackend]
    ) -> Task:
        edges_of: dict[int, list[tuple[str | None, EdgeOutput]]] = {}
        for number, edge in enumerate(self._graph.edges):
            if edge.source_vertex != vertex.vertex_id:
                continue
            target = self._graph.vertices[edge.target_vertex]
            partition = partitioner_for(
                edge.partitioning,
                source_index=index,
                source_parallelism=vertex.parallelism,
                target_parallelism=target.parallelism,
                target_max_parallelism=target.max_parallelism,
                target=target.operators[0].name,
            )
            output = EdgeOutput(self._channels[number][index], partition)
            edges_of.setdefault(edge.source_operator, []).append((edge.side_tag, output))
        # Last first: an operator's outputs must be set up before it is.
        operators: list[Operator | None] = [None] * len(vertex.operators)
        for position in reversed(range(len(vertex.operators))):
            node = vertex.operators[position]
            outputs: list[tuple[str | None, ChainedOutput | EdgeOutput]] = []
            for chained in vertex.chain:
                follower = operators[chained.target] if chained.source == position else None
                if follower is not None:
                    outputs.append((chained.side_tag, ChainedOutput(follower)))
            outputs.extend(edges_of.get(position, []))
            operators[position] = self._build_operator(
                vertex, node, index, _combine(outputs), operator_states[node.operator_id]
            )
        built = [operator for operator in operators if operator is not None]
        edges = [output for each in edges_of.values() for _, output in each]
        return Task(
            vertex,
            index,
            built,
            self._gate(vertex, index),
            edges,
            self._around.clock,
            self._around.resolve,
        )

    def _gate(self, vertex: JobVertex, index: int) -> InputGate:
        channels = [
            sender[index]
            for number, edge in enumerate(self._graph.edges)
            if edge.target_vertex == vertex.vertex_id
            for sender in self._channels[number]
        ]
        return InputGate(channels, self._around.clock, aligned=self._around.aligned)

    def _build_operator(
        self,
        vertex: JobVertex,
        node: OperatorNode,
        index: int,
        output: OperatorOutput,
        operator_state: OperatorStateBackend,
    ) -> Operator:
        context = OperatorContext(
            job_id=self._deploy.job_id,
            job_name=self._graph.name,
            operator_id=node.operator_id,
            name=node.name,
            subtask_index=index,
            parallelism=vertex.parallelism,
            max_parallelism=vertex.max_parallelism,
            attempt=self._deploy.attempt,
            clock=self._around.clock,
            output=output,
            operator_state=operator_state,
            metric_group=self._metric_group(node, index),
            keyed_backend=self._keyed_backend(vertex, node, index),
            side_output_tags=node.side_output_tags,
            restored_checkpoint_id=self._checkpoint_id,
            checkpointing_enabled=self._deploy.checkpointing_enabled,
            batch_size=self._around.batch_size,
            auto_watermark_interval_ms=self._around.auto_watermark_interval_ms,
            job_parameters=self._graph.job_parameters,
            generic_types=self._graph.generic_types,
        )
        operator = build_operator(
            node.specification,
            self._around.send_collected,
            keyed=node.keyed is not None,
            batch=self._batch_resources,
        )
        operator.setup(context)
        return operator

    def _metric_group(self, node: OperatorNode, index: int) -> MetricGroup:
        return self._around.metrics.group(
            {"job": self._graph.name, "operator": node.name, "subtask": str(index)}
        )

    def _keyed_backend(
        self, vertex: JobVertex, node: OperatorNode, index: int
    ) -> KeyedStateBackend | None:
        if node.keyed is None:
            return None
        groups = key_group_range(vertex.max_parallelism, vertex.parallelism, index)
        store = self._around.store
        assert store is not None
        return store.create_keyed_backend(
            KeyedBackendParameters(
                job_id=self._deploy.job_id,
                operator_id=node.operator_id,
                operator_name=node.name,
                subtask_index=index,
                key_serializer=key_serializer_for(node.keyed.key_type),
                key_group_range=groups,
                max_parallelism=vertex.max_parallelism,
                clock=self._around.clock,
                reader=self._around.reader,
                restored=_intersecting(self._restored.get(node.operator_id), groups),
                reuse_restored_files=self._reuse_restored_files,
                local_directories=self._around.local_directories,
                configuration=self._deploy.configuration,
                metric_group=self._metric_group(node, index),
            )
        )


def _combine(
    outputs: Sequence[tuple[str | None, ChainedOutput | EdgeOutput]],
) -> OperatorOutput:
    sides: dict[str, list[ChainedOutput | EdgeOutput]] = {}
    for tag, output in outputs:
        if tag is not None:
            sides.setdefault(tag, []).append(output)
    return OperatorOutput([output for tag, output in outputs if tag is None], sides)


def _intersecting(state: OperatorState | None, groups: KeyGroupRange) -> list[KeyedHandle]:
    """Return the handles of an operator that hold key groups of one subtask."""
    subtasks: Mapping[int, SubtaskState] = {} if state is None else state.subtasks
    return [
        handle
        for _, subtask in sorted(subtasks.items())
        for handle in subtask.keyed
        if handle.first_key_group <= groups.end and handle.last_key_group >= groups.start
    ]


def _topological(graph: JobGraph) -> list[JobVertex]:
    """Return vertices so that every edge leads forward; ties in the order of the program."""
    order: list[JobVertex] = []
    placed: set[int] = set()
    waiting = list(graph.vertices)
    while waiting:
        for vertex in waiting:
            if all(edge.source_vertex in placed for edge in graph.inputs_of(vertex.vertex_id)):
                break
        else:
            raise AssertionError("The job graph has a cycle.")
        order.append(vertex)
        placed.add(vertex.vertex_id)
        waiting.remove(vertex)
    return order
