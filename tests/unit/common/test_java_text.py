"""Values as Java prints them."""

# ruff: noqa: DTZ001 - SQL timestamps have no time zone

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from millpond.common import Instant, Row, RowKind, Types
from millpond.common.java_text import java_text
from millpond.common.typeinfo import ExternalTypeInfo

STRING, INT, DOUBLE = Types.STRING(), Types.INT(), Types.DOUBLE()


@pytest.mark.parametrize(
    ("value", "type_info", "text"),
    [
        (("a", None), None, "('a', None)"),
        (("a", 1), Types.PICKLED_BYTE_ARRAY(), "('a', 1)"),
        (("a", 1), Types.TUPLE([STRING, INT]), "(a,1)"),
        (Row("a", 1), Types.ROW([STRING, INT]), "+I[a, 1]"),
        (Row(b=1, a="x"), Types.ROW_NAMED(["a", "b"], [STRING, INT]), "+I[x, 1]"),
        (Row.of_kind(RowKind.UPDATE_BEFORE, None), Types.ROW([INT]), "-U[null]"),
        (
            ("a", (1, True)),
            Types.TUPLE([STRING, Types.TUPLE([INT, Types.BOOLEAN()])]),
            "(a,(1,true))",
        ),
        ({"a": 1, "b": None}, Types.MAP(STRING, INT), "{a=1, b=null}"),
        ([1, None], Types.LIST(INT), "[1, null]"),
        (b"\x01\xff", Types.PRIMITIVE_ARRAY(Types.BYTE()), "[1, -1]"),
        (False, Types.BOOLEAN(), "false"),
        (None, STRING, "null"),
        (1, ExternalTypeInfo(INT), "1"),
        (1, DOUBLE, "1.0"),
        (0.1, DOUBLE, "0.1"),
        (-0.0, DOUBLE, "-0.0"),
        (0.001, DOUBLE, "0.001"),
        (0.0001, DOUBLE, "1.0E-4"),
        (-0.00012345, DOUBLE, "-1.2345E-4"),
        (9999999.0, DOUBLE, "9999999.0"),
        (10000000.0, DOUBLE, "1.0E7"),
        (123456789.25, DOUBLE, "1.2345678925E8"),
        (1e300, DOUBLE, "1.0E300"),
        (1.5e-10, DOUBLE, "1.5E-10"),
        (float("nan"), DOUBLE, "NaN"),
        (float("-inf"), Types.FLOAT(), "-Infinity"),
        (Decimal("1.50"), Types.BIG_DEC(), "1.50"),
        (dt.date(2020, 1, 2), Types.SQL_DATE(), "2020-01-02"),
        (dt.time(1, 2, 3), Types.SQL_TIME(), "01:02:03"),
        (dt.datetime(2021, 2, 3, 4, 5, 6), Types.SQL_TIMESTAMP(), "2021-02-03 04:05:06.0"),
        (dt.datetime(2021, 2, 3, 4, 5, 6, 780000), Types.SQL_TIMESTAMP(), "2021-02-03 04:05:06.78"),
        (Instant(0, 0), Types.INSTANT(), "1970-01-01T00:00:00Z"),
        (Instant(-1, 5_000_000), Types.INSTANT(), "1969-12-31T23:59:59.005Z"),
        (Instant(0, 123_456_789), Types.INSTANT(), "1970-01-01T00:00:00.123456789Z"),
    ],
)
def test_text(value, type_info, text):
    assert java_text(value, type_info) == text
