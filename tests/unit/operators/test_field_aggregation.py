"""The reduce that an aggregation of a field becomes, for every kind of record."""

import pytest

from millpond.common import Row, RowKind
from millpond.datastream.operator_spec import AggregationKind, FieldAggregationSpec
from millpond.errors import InvalidProgramError
from millpond.operators.field_aggregation import reduce_of_field


def reduce(kind, position, before, record):
    return reduce_of_field(FieldAggregationSpec(kind, position, None)).function(before, record)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (AggregationKind.SUM, ("a", 7, 1)),
        (AggregationKind.MIN, ("a", 2, 1)),
        (AggregationKind.MAX, ("a", 5, 1)),
        (AggregationKind.MIN_BY, ("b", 2, 9)),
        (AggregationKind.MAX_BY, ("a", 5, 1)),
    ],
)
def test_fields_that_are_not_aggregated_are_those_of_the_first_record(kind, expected):
    assert reduce(kind, 1, ("a", 5, 1), ("b", 2, 9)) == expected


def test_negative_positions_count_from_the_end():
    assert reduce(AggregationKind.SUM, -1, ("a", 5, 1), ("b", 2, 9)) == ("a", 5, 10)


def test_lists_stay_lists_and_numbers_are_their_own_field():
    assert reduce(AggregationKind.SUM, 1, ["a", 5], ["a", 2]) == ["a", 7]
    assert reduce(AggregationKind.SUM, 0, 5, 2) == 7
    assert reduce(AggregationKind.SUM, 0, 5, 2.5) == 7.5
    assert reduce(AggregationKind.MAX, 0, "ab", "b") == "b"


def test_rows_keep_their_names_and_the_record_before_is_not_changed():
    before = Row(name="a", amount=5)
    result = reduce(AggregationKind.SUM, "amount", before, Row(name="a", amount=2))
    assert result == Row(name="a", amount=7)
    assert before == Row(name="a", amount=5)


@pytest.mark.parametrize("position", [3, "amount"])
def test_a_field_that_is_not_there_is_named(position):
    with pytest.raises(InvalidProgramError, match=f"has no field {position!r}"):
        reduce(AggregationKind.SUM, position, ("a", 5), ("a", 2))


def test_values_that_do_not_add_up_raise_their_own_error():
    with pytest.raises(TypeError, match="unsupported operand"):
        reduce(AggregationKind.SUM, 1, ("a", 5), ("a", None))


def test_rows_without_names_keep_their_kind():
    before = Row.of_kind(RowKind.UPDATE_AFTER, "a", 5)
    result = reduce(AggregationKind.MAX, 1, before, Row("a", 7))
    assert result == Row.of_kind(RowKind.UPDATE_AFTER, "a", 7)
    assert result.get_field_names() is None
