"""Turns a described program into a job graph: checks it, forms chains, gives out ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.configuration.options.execution import RuntimeExecutionMode
from millpond.datastream.connectors.sink import Sink
from millpond.datastream.operator_spec import (
    BroadcastProcessSpec,
    CoFlatMapSpec,
    CoMapSpec,
    CoProcessSpec,
    IntervalJoinSpec,
    SinkSpec,
    SourceSpec,
    TimestampsSpec,
)
from millpond.datastream.partitioning import (
    ForwardPartitioning,
    Partitioning,
    RebalancePartitioning,
)
from millpond.datastream.transformation import (
    ChainingStrategy,
    Edge,
    JobDescription,
    Transformation,
)
from millpond.errors import InvalidProgramError
from millpond.runtime.batch_mode import is_batch, without_watermarks
from millpond.runtime.generic_types import refuse_generic_types
from millpond.runtime.job_graph import ChainEdge, JobEdge, JobGraph, JobVertex, OperatorNode
from millpond.runtime.operator_id import operator_id_of_place, operator_id_of_uid
from millpond.state.contract.key_group import default_max_parallelism, validate_parallelism

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("CompilerOptions", "compile_job")

_TWO_INPUT_SPECS = (
    CoMapSpec,
    CoFlatMapSpec,
    CoProcessSpec,
    BroadcastProcessSpec,
    IntervalJoinSpec,
)


@dataclass(frozen=True, slots=True)
class CompilerOptions:
    """What the configuration says about graphs. `max_parallelism` None: derived.

    `sources_end_chains`: what is behind a source, and behind its watermarks, is a task of its own.
    """

    parallelism: int = 1
    max_parallelism: int | None = None
    chaining: bool = True
    sources_end_chains: bool = False
    auto_generate_uids: bool = True
    generic_types: bool = True
    mode: RuntimeExecutionMode = RuntimeExecutionMode.STREAMING


def compile_job(
    job: JobDescription, options: CompilerOptions, job_parameters: dict[str, str]
) -> JobGraph:
    """Compile a program.

    Raises:
        InvalidProgramError: it has no operators, operators share a uid, a uid is missing where
            `pipeline.auto-generate-uids` is false, state would be pickled where
            `pipeline.generic-types` is false, a function cannot be copied, or a source of a
            program in BATCH mode does not end.
    """
    compiler = _Compiler(job, options)
    if not options.generic_types:
        refuse_generic_types(job)
    return compiler.compile(job_parameters)


class _Compiler:
    def __init__(self, job: JobDescription, options: CompilerOptions) -> None:
        if not job.transformations:
            raise InvalidProgramError(
                "The program has no operators.",
                hint="Describe a source and what is done with it before calling execute.",
            )
        self._job = job
        self._options = options
        self._batch = is_batch(job, options.mode)
        self._order = job.transformations
        self._parallelism = {id(t): self._parallelism_of(t) for t in self._order}
        self._outputs: dict[int, list[tuple[Transformation, Edge]]] = {
            id(t): [] for t in self._order
        }
        for target in self._order:
            for edge in target.inputs:
                self._outputs[id(edge.source)].append((target, edge))
        self._keeping = self._keeping_batches()

    def compile(self, job_parameters: dict[str, str]) -> JobGraph:
        ids = self._operator_ids()
        heads = [t for t in self._order if not self._chained_input(t)]
        chains = [self._chain_from(head) for head in heads]
        place = {
            id(member): (vertex, index)
            for vertex, chain in enumerate(chains)
            for index, member in enumerate(chain)
        }
        vertices = tuple(self._vertex(number, chain, ids) for number, chain in enumerate(chains))
        edges = tuple(
            JobEdge(
                source_vertex=place[id(edge.source)][0],
                source_operator=place[id(edge.source)][1],
                target_vertex=place[id(target)][0],
                side_tag=edge.side_tag,
                partitioning=self._partitioning(edge, target),
                input_index=edge.input_index,
            )
            for target in heads
            for edge in target.inputs
        )
        return JobGraph(
            self._job.name,
            vertices,
            edges,
            job_parameters,
            self._options.generic_types,
            self._batch,
        )

    # -- parallelism and partitioning

    def _parallelism_of(self, transformation: Transformation) -> int:
        return transformation.parallelism or self._options.parallelism

    def _max_parallelism_of(self, transformation: Transformation) -> tuple[int, bool]:
        wanted = transformation.max_parallelism or self._options.max_parallelism
        parallelism = self._parallelism[id(transformation)]
        maximum = wanted or default_max_parallelism(parallelism)
        validate_parallelism(parallelism, maximum)
        return maximum, wanted is not None

    def _partitioning(self, edge: Edge, target: Transformation) -> Partitioning:
        same = self._parallelism[id(edge.source)] == self._parallelism[id(target)]
        if edge.partitioning is None:
            return ForwardPartitioning() if same else RebalancePartitioning()
        if isinstance(edge.partitioning, ForwardPartitioning) and not same:
            raise InvalidProgramError(
                f"forward() needs equal parallelism, but {edge.source.name!r} has "
                f"{self._parallelism[id(edge.source)]} and {target.name!r} "
                f"{self._parallelism[id(target)]}.",
                hint="Use rebalance() or rescale().",
            )
        return edge.partitioning

    # -- chains

    def _chained_input(self, target: Transformation) -> Edge | None:
        """Return the edge over which `target` is chained to its only input, if it is."""
        if self._options.sources_end_chains and target.inputs:
            source = target.inputs[0].source
            reads = isinstance(source.spec, SourceSpec) or id(source) in self._keeping
            if reads and id(target) not in self._keeping:
                return None
        return self._chainable_input(target)

    def _keeping_batches(self) -> frozenset[int]:
        """Return what assigns watermarks, and what leads there: they follow the batches."""
        keeping: set[int] = set()
        for transformation in reversed(self._order):
            followers = (id(target) for target, _ in self._outputs[id(transformation)])
            if isinstance(transformation.spec, TimestampsSpec) or not keeping.isdisjoint(followers):
                keeping.add(id(transformation))
        return frozenset(keeping)

    def _chainable_input(self, target: Transformation) -> Edge | None:
        """Return the edge over which `target` may be chained; generated ids depend on it."""
        if len(target.inputs) != 1 or isinstance(target.spec, _TWO_INPUT_SPECS):
            return None
        edge = target.inputs[0]
        source = edge.source
        chainable = (
            self._options.chaining
            and isinstance(self._partitioning(edge, target), ForwardPartitioning)
            and target.chaining is ChainingStrategy.ALWAYS
            and source.chaining is not ChainingStrategy.NEVER
            and self._group(source) == self._group(target)
            and self._max_parallelism_of(source) == self._max_parallelism_of(target)
        )
        return edge if chainable else None

    @staticmethod
    def _group(transformation: Transformation) -> str:
        return transformation.slot_sharing_group or "default"

    def _chain_from(self, head: Transformation) -> list[Transformation]:
        chain = [head]
        for member in chain:
            chain.extend(
                target
                for target, edge in self._outputs[id(member)]
                if self._chained_input(target) is edge
            )
        return chain

    # -- operators

    def _vertex(
        self, number: int, chain: Sequence[Transformation], ids: dict[int, bytes]
    ) -> JobVertex:
        index = {id(member): position for position, member in enumerate(chain)}
        edges = tuple(
            ChainEdge(index[id(edge.source)], index[id(member)], edge.side_tag)
            for member in chain[1:]
            for edge in member.inputs
        )
        maximum, is_set = self._max_parallelism_of(chain[0])
        return JobVertex(
            vertex_id=number,
            operators=tuple(self._node(member, ids[id(member)]) for member in chain),
            chain=edges,
            parallelism=self._parallelism[id(chain[0])],
            keeps_batches=any(id(member) in self._keeping for member in chain),
            max_parallelism=maximum,
            max_parallelism_is_set=is_set,
        )

    def _node(self, transformation: Transformation, operator_id: bytes) -> OperatorNode:
        tags = {edge.side_tag for _, edge in self._outputs[id(transformation)] if edge.side_tag}
        return OperatorNode(
            operator_id=operator_id,
            name=transformation.name,
            uid=transformation.uid,
            specification=self._specification(transformation),
            output_type=transformation.output_type,
            keyed=transformation.keyed,
            side_output_tags=frozenset(tags),
            commits=_commits(transformation),
        )

    def _specification(self, transformation: Transformation) -> bytes | SourceSpec:
        spec = without_watermarks(transformation.spec) if self._batch else transformation.spec
        if isinstance(spec, SourceSpec):
            return spec
        from millpond.serialization.program_pickle import pickle_program

        try:
            return pickle_program(spec)
        except Exception as error:
            raise InvalidProgramError(
                f"The function of {transformation.name!r} cannot be copied: {error}.",
                hint="Open files, locks and connections in open(), not in __init__.",
                operator=transformation.name,
            ) from error

    def _operator_ids(self) -> dict[int, bytes]:
        ids: dict[int, bytes] = {}
        owners: dict[bytes, Transformation] = {}
        for position, transformation in enumerate(self._order):
            operator_id = self._operator_id(transformation, position, ids)
            other = owners.setdefault(operator_id, transformation)
            if other is not transformation:
                raise InvalidProgramError(
                    f"{other.name!r} and {transformation.name!r} have the same uid "
                    f"{transformation.uid or transformation.uid_hash!r}.",
                    hint="Give each operator a uid of its own.",
                )
            ids[id(transformation)] = operator_id
        return ids

    def _operator_id(
        self, transformation: Transformation, position: int, ids: dict[int, bytes]
    ) -> bytes:
        if transformation.uid_hash is not None:
            return bytes.fromhex(transformation.uid_hash)
        if transformation.uid is not None:
            return operator_id_of_uid(transformation.uid)
        if not self._options.auto_generate_uids:
            raise InvalidProgramError(
                f"{transformation.name!r} has no uid, and pipeline.auto-generate-uids is false.",
                hint="Call uid() on every operator.",
            )
        chained = sum(
            self._chainable_input(target) is edge
            for target, edge in self._outputs[id(transformation)]
        )
        return operator_id_of_place(
            position, chained, [ids[id(edge.source)] for edge in transformation.inputs]
        )


def _commits(transformation: Transformation) -> bool:
    spec = transformation.spec
    return isinstance(spec, SinkSpec) and type(spec.sink).commit is not Sink.commit
