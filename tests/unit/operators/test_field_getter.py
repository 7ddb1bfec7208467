"""Functions that only take a field are known by their bytecode, and all others are left alone."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest

from millpond.operators.field_getter import field_getter, take

POSITION = 1
RECORDS = [(10, 11, 12), (20, 21, 22)]


class Assigner:
    def third(self, value: Any, record_timestamp: int) -> Any:
        """Take the third."""
        return value[2]

    def of_the_timestamp(self, value: Any, record_timestamp: Any) -> Any:
        return record_timestamp[0]

    @staticmethod
    def first(value: Any) -> Any:
        return value[0]


def _closure(position: int) -> Any:
    return lambda record: record[position]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda record: record[0], [10, 20]),
        (lambda record: record[-1], [12, 22]),
        (lambda record, other=None: record[1], [11, 21]),
        (itemgetter(2), [12, 22]),
        (Assigner().third, [12, 22]),
        (Assigner.first, [10, 20]),
    ],
)
def test_takes_what_the_function_returns(function: Any, expected: list[int]) -> None:
    assert take(field_getter(function), RECORDS) == expected


def test_takes_names_and_large_positions() -> None:
    assert take(field_getter(lambda record: record["name"]), [{"name": "a"}]) == ["a"]
    assert take(field_getter(lambda record: record[300]), [range(301)]) == [300]


@pytest.mark.parametrize(
    "function",
    [
        lambda record: record,
        lambda record: record[POSITION],
        lambda record: record[0][1],
        lambda record: record[0] + 1,
        lambda record: record + 1,
        lambda record: record.name,
        lambda *records: records[0],
        lambda record, **more: record[0],
        lambda record, *, other: record[0],
        lambda: RECORDS[0],
        itemgetter(0, 1),
        _closure(0),
        Assigner().of_the_timestamp,
        Assigner.third,
        len,
        str.upper,
        int,
    ],
)
def test_leaves_other_functions_alone(function: Any) -> None:
    assert field_getter(function) is None


def test_a_missing_field_is_left_to_the_function() -> None:
    assert take(field_getter(lambda record: record[2]), [(1, 2, 3), (1, 2)]) is None


def test_no_record_is_lost_when_one_raises_stop_iteration() -> None:
    class Ending:
        def __getitem__(self, position: int) -> int:
            raise StopIteration

    assert take(field_getter(lambda record: record[0]), [(1,), Ending(), (2,)]) is None


def test_takes_nothing_without_a_getter() -> None:
    assert take(None, RECORDS) is None
