"""The graph that a program describes: transformations and the edges between them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.operator_spec import OperatorSpec
    from millpond.datastream.partitioning import KeyGroupPartitioning, Partitioning
    from millpond.datastream.stream_cache import StreamCache

__all__ = ("ChainingStrategy", "Edge", "JobDescription", "Transformation", "with_inputs")


class ChainingStrategy(enum.StrEnum):
    """Whether an operator may run in one loop with its neighbours."""

    ALWAYS = "always"
    HEAD = "head"
    NEVER = "never"


@dataclass(frozen=True, eq=False)
class Edge:
    """Records of `source` (its main output, or the side output `side_tag`) to an operator.

    `partitioning` None leaves the choice to the engine: forward between equal parallelisms, else
    rebalance. `input_index` is 0, or 1 for the second input of a two-input operator. Where `cache`
    has the records, they are read from there.
    """

    source: Transformation
    partitioning: Partitioning | None = None
    side_tag: str | None = None
    input_index: int = 0
    cache: StreamCache | None = None


@dataclass(eq=False)
class Transformation:
    """One operator of the program.

    `parallelism` and `max_parallelism` are None where the environment's default applies. `keyed`
    is the partitioning of the first input when the operator has keyed state.
    """

    transformation_id: int
    name: str
    spec: OperatorSpec
    inputs: Sequence[Edge] = ()
    output_type: TypeInformation | None = None
    keyed: KeyGroupPartitioning | None = None
    parallelism: int | None = None
    max_parallelism: int | None = None
    uid: str | None = None
    uid_hash: str | None = None
    description: str | None = None
    slot_sharing_group: str | None = None
    chaining: ChainingStrategy = ChainingStrategy.ALWAYS
    force_non_parallel: bool = False
    buffer_timeout_ms: int | None = None


@dataclass(eq=False)
class JobDescription:
    """A whole program: what `env.execute()` gives to an engine."""

    name: str
    transformations: list[Transformation] = field(default_factory=list)


def with_inputs(transformations: Sequence[Transformation]) -> list[Transformation]:
    """Return transformations and all that they read, in the order in which they were made.

    A stream may be read again after `execute` has emptied the environment. What reads a cache that
    has records is copied and reads these; what made them is left out, unless something else
    reads it.
    """
    found = {id(transformation): transformation for transformation in transformations}
    readers: dict[StreamCache, Transformation] = {}
    waiting = list(transformations)
    while waiting:
        for edge in waiting.pop().inputs:
            if edge.cache is not None and edge.cache.has_records:
                readers.setdefault(edge.cache, edge.cache.reader())
            elif id(edge.source) not in found:
                found[id(edge.source)] = edge.source
                waiting.append(edge.source)
    made = sorted(found.values(), key=_number)
    return sorted([*readers.values(), *_reading(made, readers)], key=_number) if readers else made


def _number(transformation: Transformation) -> int:
    return transformation.transformation_id


def _reading(
    made: list[Transformation], readers: dict[StreamCache, Transformation]
) -> list[Transformation]:
    """Return transformations with copies of those that read, over any way, one of the caches."""
    present: dict[int, Transformation] = {}
    for transformation in made:
        inputs = [
            replace(edge, source=readers[edge.cache], side_tag=None)
            if edge.cache in readers
            else replace(edge, source=present[id(edge.source)])
            for edge in transformation.inputs
        ]
        pairs = zip(inputs, transformation.inputs, strict=True)
        changed = any(new.source is not old.source for new, old in pairs)
        present[id(transformation)] = (
            replace(transformation, inputs=inputs) if changed else transformation
        )
    return list(present.values())
