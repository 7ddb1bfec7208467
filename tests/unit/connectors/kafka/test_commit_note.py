"""The note that says which transactions went through."""

from __future__ import annotations

from itertools import permutations

import pytest

from millpond.datastream.connectors._kafka.commit_note import CommitNote
from millpond.errors import ConnectorError


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])), ids=str)
def test_a_note_holds_what_went_through_in_any_order(order):
    note = CommitNote("life")
    for position, number in enumerate(order):
        assert not note.holds("life", number)
        note = CommitNote.decode(note.after("life", number).encode(), "group")
        assert [n for n in range(1, 5) if note.holds("life", n)] == sorted(order[: position + 1])
    assert note == CommitNote("life", 3)


def test_another_life_begins_anew():
    note = CommitNote("first", 7, (9,)).after("second", 1)
    assert note == CommitNote("second", 1)
    assert not note.holds("first", 7)


@pytest.mark.parametrize("metadata", ["", "{}", "[1]", '{"millpond": 1, "epoch": 2}'])
def test_what_is_no_note_is_named(metadata):
    with pytest.raises(ConnectorError, match=r"not its own.*group: billing"):
        CommitNote.decode(metadata, "billing")
