"""`KeyedBlock`, `LongEntry`: entries of keyed state as layouts are read, in the canonical form.

Whatever the layout of a stream (canonical, heap, RocksDB files, raw timers), readers give entries
as canonical streams have them: a composite key, and a value as RocksDB would hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from millpond.formats.long_value import LongValue

__all__ = ("KeyedBlock", "LongEntry")


class KeyedBlock(NamedTuple):
    """Some entries of one state in one key group: (composite key, value)."""

    key_group: int
    state_id: int
    entries: list[tuple[bytes, bytes]]


class LongEntry(NamedTuple):
    """One entry whose value is read in pieces."""

    key_group: int
    state_id: int
    key: bytes
    value: LongValue
