"""docs/rocksdb.md says of every option what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.configuration.options import (
    memory,
    rocksdb,
    rocksdb_column_family,
    rocksdb_metrics,
)
from millpond.configuration.registered_option import OptionStatus, RegisteredOption

PAGE = Path(__file__).parents[3] / "docs" / "rocksdb.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| `")]
OPTIONS = (
    *rocksdb.OPTIONS,
    *rocksdb_column_family.OPTIONS,
    *rocksdb_metrics.OPTIONS,
    *memory.OPTIONS,
)
KEYS_OF_FLINK = [
    key
    for key in Path(__file__).with_name("flink_keys.txt").read_text().split()
    if key.startswith(("state.backend.rocksdb.", "taskmanager.memory.managed."))
]


def _row(key: str) -> str:
    (row,) = [row for row in ROWS if f"`{key}`" in row.split("|")[1]]
    return row


@pytest.mark.parametrize("registered", OPTIONS, ids=lambda registered: registered.option.key)
def test_every_registered_option_has_a_row(registered: RegisteredOption) -> None:
    meaning = _row(registered.option.key).split("|")[2].strip()
    assert meaning
    says_nothing = meaning.startswith("nothing")
    assert says_nothing is (registered.status is OptionStatus.WITHOUT_MEANING)


@pytest.mark.parametrize("key", KEYS_OF_FLINK)
def test_every_key_of_flink_has_a_row(key: str) -> None:
    assert _row(key)
