"""The results: digest whatever the files, highlights, and named errors."""

from __future__ import annotations

import json

import pytest

from millpond.demo.results import digest, highlights, read_lines
from millpond.errors import DataFileError


def test_the_digest_does_not_depend_on_files_or_order(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "part-a.jsonl").write_text("1\n2\n3\n")
    (two / "part-b.jsonl").write_text("3\n1\n")
    (two / "part-c.jsonl").write_text("2\n")
    (two / ".part-d.inprogress.x").write_text("4\n")
    assert read_lines(one) == [b"1", b"2", b"3"]
    assert digest(read_lines(one)) == digest(read_lines(two))
    (two / "part-d.jsonl").write_text("3\n")
    assert digest(read_lines(one)) != digest(read_lines(two))


def test_no_directory_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "none") == []


def test_a_torn_line_is_an_error(tmp_path):
    (tmp_path / "part").write_text('{"kind":"hour"}\n{"ki')
    with pytest.raises(DataFileError, match="within a line"):
        read_lines(tmp_path)


def line(**fields):
    return json.dumps(fields).encode()


def test_highlights_are_the_worst_of_each_kind():
    lines = [
        line(kind="account", aircraft="N1", routes={"JFK-LAX": 30, "EWR-SFO": 5}),
        line(kind="account", aircraft="N2", routes={"JFK-LAX": 10, "LGA-ORD": 50}),
        *(line(kind="knock_on", aircraft="N1", chain_minutes=n, chain=n) for n in (5, 50, 40)),
        line(kind="knock_on", aircraft="N2", chain_minutes=45, chain=2),
        *(line(kind="missing", aircraft=f"N{n}", daily_for_days=n) for n in range(14, 24)),
        *(
            line(kind="hour", hour=f"2013-02-{n // 2 + 1:02}T{n + 5:02}:00Z", cancelled=n)
            for n in range(9)
        ),
        line(kind="late", origin="JFK"),
    ]
    found = highlights(lines)
    assert found.counts == {"account": 2, "hour": 9, "knock_on": 4, "late": 1, "missing": 10}
    assert found.routes == (("LGA-ORD", 50), ("JFK-LAX", 40), ("EWR-SFO", 5))
    assert [(row["aircraft"], row["chain_minutes"]) for row in found.chains] == [
        ("N1", 50),
        ("N2", 45),
    ]
    assert [row["daily_for_days"] for row in found.missing] == [23, 22, 21, 20, 19]
    assert [row["cancelled"] for row in found.hours] == [8, 7, 5, 3, 1]
    assert found.late == 1


@pytest.mark.parametrize("bad", [b"{", b"[1]", b"{}", b'{"kind":"account"}'])
def test_a_foreign_line_is_an_error(bad):
    with pytest.raises(DataFileError, match="no result of the flights job"):
        highlights([bad])
