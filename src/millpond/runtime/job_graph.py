"""`JobGraph`: the program as the runtime sees it: chains of operators and channels between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.datastream.operator_spec import SourceSpec
from millpond.datastream.partitioning import BroadcastPartitioning, CustomPartitioning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.partitioning import KeyGroupPartitioning, Partitioning

__all__ = ("ChainEdge", "JobEdge", "JobGraph", "JobVertex", "OperatorNode")


@dataclass(frozen=True, slots=True)
class OperatorNode:
    """One operator.

    `commits`: it is a sink that makes results visible when a checkpoint is complete.
    `specification` is the operator specification pickled by cloudpickle, so that every subtask
    and every attempt gets its own copy of the user's functions; a source is shared, since it only
    describes.
    """

    operator_id: bytes
    name: str
    uid: str | None
    specification: bytes | SourceSpec
    output_type: TypeInformation | None
    keyed: KeyGroupPartitioning | None
    side_output_tags: frozenset[str]
    commits: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it reads instead of being given records."""
        return isinstance(self.specification, SourceSpec)


@dataclass(frozen=True, slots=True)
class ChainEdge:
    """Inside a chain: records of operator `source` go to operator `target` (indexes)."""

    source: int
    target: int
    side_tag: str | None


@dataclass(frozen=True, slots=True)
class JobEdge:
    """Between vertices: records of operator `source_operator` of a chain go to a chain's head."""

    source_vertex: int
    source_operator: int
    target_vertex: int
    side_tag: str | None
    partitioning: Partitioning
    input_index: int


@dataclass(frozen=True, slots=True)
class JobVertex:
    """A chain of operators that runs as `parallelism` tasks. The first operator is its head.

    `keeps_batches`: it assigns watermarks or leads to what does, so batches must not be cut.
    """

    vertex_id: int
    operators: tuple[OperatorNode, ...]
    chain: tuple[ChainEdge, ...]
    parallelism: int
    max_parallelism: int
    max_parallelism_is_set: bool
    keeps_batches: bool = False

    @property
    def name(self) -> str:
        """The operators' names, as Flink shows a chain: ``A -> B -> C``."""
        return " -> ".join(operator.name for operator in self.operators)

    @property
    def is_source(self) -> bool:
        """Whether the head reads a source."""
        return self.operators[0].is_source


@dataclass(frozen=True, slots=True)
class JobGraph:
    """Vertices in topological order, and the edges between them in the order of the program.

    `generic_types` False forbids state that would be pickled; `batch`: it runs in BATCH mode.
    """

    name: str
    vertices: tuple[JobVertex, ...]
    edges: tuple[JobEdge, ...]
    job_parameters: dict[str, str] = field(default_factory=dict)
    generic_types: bool = True
    batch: bool = False

    @property
    def commits(self) -> bool:
        """Whether a sink makes results visible when a checkpoint is complete."""
        return any(node.commits for vertex in self.vertices for node in vertex.operators)

    def refuses_overtaking(self, *, forced: bool) -> str | None:
        """Return why barriers must not overtake records, as in Flink; None if they may.

        All subtasks must see the same records of a broadcast, and a custom partitioner may deal
        otherwise when the parallelism changes; `forced` allows the latter.
        """
        for edge in self.edges:
            if isinstance(edge.partitioning, BroadcastPartitioning):
                return "a stream is broadcast"
            if isinstance(edge.partitioning, CustomPartitioning) and not forced:
                return "a partitioner is custom"
        return None

    def inputs_of(self, vertex_id: int) -> Sequence[JobEdge]:
        """Return the edges that lead to a vertex."""
        return [edge for edge in self.edges if edge.target_vertex == vertex_id]

    def outputs_of(self, vertex_id: int) -> Sequence[JobEdge]:
        """Return the edges that leave a vertex."""
        return [edge for edge in self.edges if edge.source_vertex == vertex_id]
