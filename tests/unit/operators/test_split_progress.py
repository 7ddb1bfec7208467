"""The bytes of a source's position."""

from __future__ import annotations

import msgspec
import pytest

from millpond.datastream.connectors.source import Split
from millpond.errors import RestoreError
from millpond.operators.batch import MIN_WATERMARK
from millpond.operators.source import _SplitProgress


@pytest.mark.parametrize("largest", [None, 7, MIN_WATERMARK])
def test_positions_come_back(largest):
    progress = _SplitProgress(Split("a", {"from": 1}), 5, {"next": 6}, False, largest)
    assert _SplitProgress.decode(progress.encode(), "source") == progress


def test_positions_of_earlier_versions_are_read():
    data = msgspec.msgpack.encode(("a", {}, 5, None, True))
    assert _SplitProgress.decode(data, "source") == _SplitProgress(Split("a", {}), 5, None, True)
    # Where nothing new is to be said, they can read ours.
    assert _SplitProgress(Split("a", {}), 5, None, True).encode() == data


@pytest.mark.parametrize(
    "fields", [7, [], ["a", {}, 5, None], ["a", {}, 5, None, True, "x"], ["a", {}, "5", None, True]]
)
def test_damaged_positions_are_named(fields):
    with pytest.raises(RestoreError, match="position in the snapshot is damaged"):
        _SplitProgress.decode(msgspec.msgpack.encode(fields), "source")
