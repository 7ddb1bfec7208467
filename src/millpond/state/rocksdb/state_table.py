"""`StateTable`: what a backend knows of one of its column families."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from millpond.formats.pyflink_serializers import LIST_OF_TTL_BYTES
from millpond.formats.state_meta import (
    ELEMENT_ROWS,
    KEYED_STATE_TYPE,
    SIGNATURE,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)
from millpond.state.contract.definition import StateKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.ttl import TtlPolicy
    from millpond.state.rocksdb.database import ColumnFamily
    from millpond.state.rocksdb.early_write_back import EarlyWriteBack
    from millpond.state.rocksdb.state import RocksDBState
    from millpond.state.rocksdb.ttl_sweep import TtlSweep

__all__ = (
    "StateTable",
    "has_element_rows",
    "holds_list",
    "holds_ttl_list",
    "is_own_layout",
)


@dataclass(slots=True)
class StateTable:
    """One column family: user state or a timer queue.

    A restored state that nobody registered has no `definition`; its rows are carried along. Lists
    have one row an element (`element_rows`), except those of Flink's own snapshots until they are
    registered: only then it is known that they are lists.
    """

    meta: StateMeta
    family: ColumnFamily
    element_rows: bool = False
    definition: StateDefinition | None = None
    stored: RocksDBState | None = None
    state: Any = None
    ttl: TtlPolicy | None = None
    sweep: TtlSweep | None = None
    early: EarlyWriteBack | None = None

    def header_meta(self, *, native: bool) -> StateMeta:
        """Return the entry for a snapshot's header; native ones say how lists are stored."""
        options = {name: value for name, value in self.meta.options.items() if name != ELEMENT_ROWS}
        if native:
            options[ELEMENT_ROWS] = "true" if self.element_rows else "false"
        return replace(self.meta, options=options)


def has_element_rows(meta: StateMeta) -> bool:
    """Whether a native snapshot says that a list has a row for each element."""
    return meta.options.get(ELEMENT_ROWS) == "true"


def is_own_layout(metas: Iterable[StateMeta]) -> bool:
    """Whether a native snapshot is Millpond's, and not one of Flink's."""
    return any(ELEMENT_ROWS in meta.options for meta in metas)


def holds_list(meta: StateMeta) -> bool:
    """Whether a canonical snapshot says for sure that a state is a list to its user."""
    return (
        meta.kind is StateMetaKind.KEY_VALUE
        and meta.options.get(KEYED_STATE_TYPE) == StateKind.LIST
        and meta.options.get(SIGNATURE, "").startswith(f"{StateKind.LIST}<")
    )


def holds_ttl_list(meta: StateMeta) -> bool:
    """Whether the elements of a list have a time of last use."""
    return meta.serializers.get(VALUE_SERIALIZER) == LIST_OF_TTL_BYTES
