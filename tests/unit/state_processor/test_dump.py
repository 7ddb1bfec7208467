import csv
import io
import json
import math
from dataclasses import dataclass

import pytest

from millpond.state_processor.dump import json_text, write_csv, write_jsonl, write_parquet
from millpond.state_processor.rendering import as_json

# Java's text may hold half of a surrogate pair, which is no Unicode.
HALF = "a\ud83db"
RECORDS = (
    {"operator": "o", "state": "s", "kind": "VALUE", "key": "ä", "value": 2**80},
    {"operator": HALF, "state": HALF, "kind": "MAP", "key": HALF, "map_key": 1, "value": None},
)


def test_json_is_one_line_of_text_as_it_is():
    out = io.StringIO()
    write_jsonl(RECORDS, out)
    first, second = out.getvalue().splitlines()
    assert first == (
        '{"operator":"o","state":"s","kind":"VALUE","key":"ä","value":1208925819614629174706176}'
    )
    assert second.isascii()
    assert json.loads(second) == RECORDS[1]


def test_csv_holds_json_in_its_cells():
    out = io.StringIO()
    write_csv(RECORDS, out)
    first, second = csv.DictReader(io.StringIO(out.getvalue()))
    assert (first["key"], first["map_key"]) == ('"ä"', "")
    assert json.loads(second["key"]) == HALF
    assert second["value"] == "null"


def test_parquet_holds_json_in_its_cells():
    parquet = pytest.importorskip("pyarrow.parquet")
    out = io.BytesIO()
    write_parquet(RECORDS, out)
    out.seek(0)
    first, second = parquet.read_table(out).to_pylist()
    assert (first["key"], first["map_key"], first["timestamp"]) == ('"ä"', None, None)
    assert second["state"] == r"a\ud83db"
    assert json.loads(second["key"]) == HALF


def test_floats_that_json_has_not_are_tagged_in_records_too():
    @dataclass
    class Point:
        x: float
        rest: list[float]

    shown = as_json(Point(math.inf, [1.5, math.nan]))
    assert shown == {"Point": {"x": {"double": "inf"}, "rest": [1.5, {"double": "nan"}]}}
    assert json.loads(json_text(shown)) == shown
