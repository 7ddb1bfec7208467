"""Row and RowKind behave as PyFlink's."""

from __future__ import annotations

import copy
import pickle

import pytest

from millpond.common import Row, RowKind


def test_named_row():
    row = Row(name="Alice", age=11)
    assert repr(row) == str(row) == "Row(name='Alice', age=11)"
    assert (row.name, row["age"], row[0], row[1:]) == ("Alice", 11, "Alice", [11])
    assert list(row) == ["Alice", 11]
    assert len(row) == 2
    assert "Alice" in row
    assert row.as_dict() == {"name": "Alice", "age": 11}
    assert row.get_field_names() == ["name", "age"]
    row["age"] = 12
    row[0] = "Bob"
    assert row == Row(name="Bob", age=12)


def test_positional_row():
    row = Row("a", None)
    assert repr(row) == "<Row('a', None)>"
    assert row.get_field_names() is None
    with pytest.raises(TypeError, match="names"):
        row.as_dict()


def test_row_of_names_makes_rows():
    person = Row("name", "age")
    assert person("Alice", 11) == Row(name="Alice", age=11)
    with pytest.raises(ValueError, match="2 fields"):
        person(1, 2, 3)


def test_unknown_names():
    row = Row(a=1)
    with pytest.raises(AttributeError, match=r"this Row has the fields \['a'\]"):
        _ = row.b
    with pytest.raises(AttributeError, match="this Row has no field names"):
        _ = Row(1).a
    with pytest.raises(AttributeError):
        _ = row._hidden
    with pytest.raises(KeyError):
        _ = row["b"]
    with pytest.raises(KeyError):
        row["b"] = 1
    with pytest.raises(AttributeError):
        row.a = 2
    with pytest.raises(ValueError, match=r"\['b'\]"):
        row.get_fields_by_names(["a", "b"])
    with pytest.raises(ValueError, match="not both"):
        Row(1, a=2)


def test_fields_by_names():
    assert Row(a=1, b=2).get_fields_by_names(["b", "a"]) == [2, 1]
    assert Row(1, 2).get_fields_by_names(["b", "a"]) == [1, 2]


def test_recursive_dictionary():
    row = Row(key=1, value=Row(name="a"), many=[Row(x=1)], by={"k": Row(y=2)})
    assert row.as_dict(recursive=True) == {
        "key": 1,
        "value": {"name": "a"},
        "many": [{"x": 1}],
        "by": {"k": {"y": 2}},
    }
    assert row.as_dict()["value"] == Row(name="a")


def test_equality_and_hash():
    assert Row(1, "a") == Row(1, "a")
    assert hash(Row(1, "a")) == hash(Row(1, "a"))
    assert Row(a=1) != Row(b=1)
    assert Row(1) != Row.of_kind(RowKind.DELETE, 1)
    assert Row(1) != (1,)
    named = Row(1, "a")
    named.set_field_names(["f0", "f1"])
    assert named == Row(1, "a"), "a row that passed through a coder equals its original"
    assert Row(1) != Row(a=1)


def test_kinds():
    row = Row.of_kind(RowKind.UPDATE_AFTER, a=1)
    assert row.get_row_kind() is RowKind.UPDATE_AFTER
    row.set_row_kind(RowKind.DELETE)
    assert row.get_row_kind() is RowKind.DELETE
    assert [str(kind) for kind in RowKind] == ["+I", "-U", "+U", "-D"]


@pytest.mark.parametrize(
    "row", [Row(a=1, b=[2]), Row("x", None), Row.of_kind(RowKind.DELETE, 1), Row()]
)
def test_pickle_and_copy(row):
    for other in (pickle.loads(pickle.dumps(row)), copy.copy(row), copy.deepcopy(row)):
        assert other == row
        assert repr(other) == repr(row)
        assert other.get_row_kind() is row.get_row_kind()
