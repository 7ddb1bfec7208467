"""Partitionings: which subtask of the next operator a record goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation

__all__ = (
    "BroadcastPartitioning",
    "CustomPartitioning",
    "ForwardPartitioning",
    "KeyGroupPartitioning",
    "Partitioning",
    "RebalancePartitioning",
    "RescalePartitioning",
    "ShufflePartitioning",
)


@dataclass(frozen=True, slots=True)
class ForwardPartitioning:
    """To the subtask with the same index; `explicit` where the program asked for it."""

    explicit: bool = False


@dataclass(frozen=True, slots=True)
class RebalancePartitioning:
    """To all subtasks in turn."""


@dataclass(frozen=True, slots=True)
class RescalePartitioning:
    """To a local group of subtasks in turn, as Flink's RescalePartitioner."""


@dataclass(frozen=True, slots=True)
class ShufflePartitioning:
    """To a random subtask; the choice is seeded, so that a replay repeats it."""


@dataclass(frozen=True, slots=True)
class BroadcastPartitioning:
    """To every subtask."""


@dataclass(frozen=True, slots=True)
class CustomPartitioning:
    """To the subtask that the user's function names, given (key, number of subtasks)."""

    partition: Callable[[Any, int], int]
    key_selector: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class KeyGroupPartitioning:
    """To the subtask that owns the key group of the record's key.

    Records get the rows of their `record_type` on the way, as from PyFlink's coders; the key
    selector sees them before.
    """

    key_selector: Callable[[Any], Any]
    key_type: TypeInformation | None
    record_type: TypeInformation | None = None


Partitioning = (
    ForwardPartitioning
    | RebalancePartitioning
    | RescalePartitioning
    | ShufflePartitioning
    | BroadcastPartitioning
    | CustomPartitioning
    | KeyGroupPartitioning
)
