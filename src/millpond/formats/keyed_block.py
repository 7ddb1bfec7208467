"""`KeyedBlock`: entries of keyed state as every layout is read, in the canonical form.

Whatever the layout of a stream (canonical, heap, RocksDB files, raw timers), readers give entries
as canonical streams have them: a composite key, and a value as RocksDB would hold it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("KeyedBlock",)


class KeyedBlock(NamedTuple):
    """Some entries of one state in one key group: (composite key, value)."""

    key_group: int
    state_id: int
    entries: list[tuple[bytes, bytes]]
