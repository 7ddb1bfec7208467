"""Flink's line format."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millpond.configuration.line_format import parse_lines


def _pairs(text: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in parse_lines(text, "flink-conf.yaml").entries}


def test_a_line_is_split_at_the_first_colon_and_blank() -> None:
    assert _pairs("state.checkpoints.dir: hdfs://namenode:40010/flink/checkpoints") == {
        "state.checkpoints.dir": "hdfs://namenode:40010/flink/checkpoints"
    }
    assert _pairs("a: b: c") == {"a": "b: c"}


def test_comments_blank_lines_and_blanks_around() -> None:
    text = "# head\n\n  a:  1  # tail\r\n\tb: 2\rc: x#y\n"
    assert _pairs(text) == {"a": "1", "b": "2", "c": "x"}


def test_entries_know_their_line() -> None:
    found = parse_lines("# head\na: 1\n", "conf/flink-conf.yaml")
    assert str(found.entries[0].origin) == "conf/flink-conf.yaml:2"


def test_lines_that_are_no_entries_are_passed_over_and_named() -> None:
    found = parse_lines("a:1\nb:\n: c\nd\ne: 5", "f")
    assert [entry.key for entry in found.entries] == ["e"]
    assert [notice.origin.line for notice in found.notices] == [1, 2, 3, 4]
    assert "'a:1' is no entry" in found.notices[0].message


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    found = parse_lines("a: 1\nb: 2\na: 3", "f")
    assert {entry.key: entry.value for entry in found.entries} == {"a": "3", "b": "2"}
    assert str(found.notices[0]) == "f:3: 'a' stands in line 1 already; this one counts."


def test_only_line_feeds_and_carriage_returns_end_a_line() -> None:
    assert _pairs("a: x\u2028y\x0bz") == {"a": "x\u2028y\x0bz"}


@given(st.text())
def test_any_text_gives_a_result(text: str) -> None:
    found = parse_lines(text, "f")
    assert len({entry.key for entry in found.entries}) == len(found.entries)
    assert all(entry.key and entry.value for entry in found.entries)


@given(st.text(alphabet="ab: #\n\r\t.'\"{}[]-"))
def test_text_that_looks_like_entries_gives_a_result(text: str) -> None:
    found = parse_lines(text, "f")
    assert all(": " not in entry.key and "#" not in entry.value for entry in found.entries)
