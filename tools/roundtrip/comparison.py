"""Compares two savepoints state by state, for the round trip."""

from __future__ import annotations

from millpond.state_processor.decoding import EntryDecoder
from millpond.state_processor.difference import Change, compare
from millpond.state_processor.savepoint import Savepoint

__all__ = ("OPERATORS", "count_entries", "differences")

OPERATORS = (
    "five-kinds",
    "pickled-key",
    "long-key",
    "tuple-key",
    "expiring",
    "broadcasting",
    "tumbling-list",
    "tumbling-sum",
    "session-list",
)
"""Those with keyed or broadcast state; sources keep their positions in ways of their own."""


def differences(first: str, second: str, *, times: bool = True) -> list[str]:
    """Return what two savepoints hold differently, as text; `times` compares last accesses too."""
    # The pickles are the round trip's own.
    changes = compare(
        Savepoint.open(first),
        Savepoint.open(second),
        OPERATORS,
        allow_pickle=True,
        times=times,
    )
    return [_text(change) for change in changes]


def count_entries(path: str) -> int:
    """Return how many entries the compared operators hold, so that nothing equals nothing."""
    from millpond.state_processor.entries import read_entries

    savepoint = Savepoint.open(path)
    return sum(
        1
        for operator in savepoint.select(OPERATORS)
        for _ in read_entries(savepoint, savepoint.describe(operator))
    )


def _text(change: Change) -> str:
    decoder = EntryDecoder(change.operator, allow_pickle=True)
    entry = change.first or change.second
    assert entry is not None
    sides = [
        "nothing"
        if one is None
        else f"{decoder.value(one)!r} {list(one.times) or ''} {one.timestamp or ''}".strip()
        for one in (change.first, change.second)
    ]
    place = f"{change.operator.label} {entry.state.name} key {decoder.key(entry)!r}"
    if entry.map_key:
        place += f" map key {decoder.map_key(entry)!r}"
    return f"{place}: {sides[0]} | {sides[1]}"
