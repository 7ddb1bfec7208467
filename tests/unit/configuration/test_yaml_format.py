"""Nested YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.configuration.yaml_format import parse_yaml
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.configuration.entry import FoundEntries

YAML_LIKE = st.text(alphabet="ab1: #\n\t.'\"{}[]-&*!?|>%@`,~<\\x0\u0085\ufeff")


def _pairs(text: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in parse_yaml(text, "config.yaml").entries}


def test_nested_and_dotted_keys_are_the_same() -> None:
    text = """
state:
  backend:
    type: rocksdb
execution.checkpointing:
  dir: hdfs://namenode:40010/flink/checkpoints
parallelism.default: 2
"""
    assert _pairs(text) == {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.dir": "hdfs://namenode:40010/flink/checkpoints",
        "parallelism.default": "2",
    }


def test_values_are_taken_as_they_are_written() -> None:
    text = "a: yes\nb: 010\nc: 1:30\nd: 1e3\ne: 'x'\nf: 2001-01-01\ng: \" 10 s \"\nh: |\n  text\n"
    assert _pairs(text) == {
        "a": "yes",
        "b": "010",
        "c": "1:30",
        "d": "1e3",
        "e": "x",
        "f": "2001-01-01",
        "g": "10 s",
        "h": "text",
    }


def test_lists_and_maps() -> None:
    assert _pairs("a: [x, 'y;z']\nb:\n  - 1\n  - 2\nc: {d: 1}") == {
        "a": "x;'y;z'",
        "b": "1;2",
        "c.d": "1",
    }


def test_entries_know_their_line() -> None:
    found = parse_yaml("a:\n  b: 1\n", "conf/config.yaml")
    assert str(found.entries[0].origin) == "conf/config.yaml:2"


@pytest.mark.parametrize("text", ["", "# nothing", "---\n", "~", "null"])
def test_an_empty_file_has_no_entries(text: str) -> None:
    assert _pairs(text) == {}


@pytest.mark.parametrize("text", ["a:", "a: ~", "a: null", "a: ''", "a: []"])
def test_a_key_without_value_is_named(text: str) -> None:
    found = parse_yaml(text, "f")
    assert found.entries == ()
    assert str(found.notices[0]) == "f:1: 'a' has no value."


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\na: 2", "'a' stands in line 1 already", 2),
        ("a:\n  b: 1\na.b: 2", "'a.b' stands in line 2 already", 3),
        ("- a", "a mapping of keys to values", 1),
        ("text", "a mapping of keys to values", 1),
        ("a: 1\n---\nb: 2", "no valid YAML", 2),
        ("a: {", "no valid YAML", 1),
        ("a: b: c", "no valid YAML", 1),
        ("\ta: 1", "no valid YAML", 1),
        ("? [a]\n: 1", "a key must be a text", 1),
        ("'': 1", "a key must be a text", 1),
        ("a: [[1]]", "only hold plain values", 1),
        ("b: &x {c: 1}\na:\n  <<: *x", "merge keys", 3),
        ("a: !!python/object:os.system x", "is not allowed", 1),
        ("a: !mine x", "is not allowed", 1),
        ("a: *missing", "no valid YAML", 1),
    ],
)
def test_what_options_cannot_have_is_refused_with_file_and_line(
    text: str, message: str, line: int
) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        parse_yaml(text, "f.yaml")
    assert str(error.value.context["origin"]) == f"f.yaml:{line}"


def test_endless_and_exploding_aliases_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        parse_yaml("a: &a {b: *a}", "f")
    levels = "\n".join(
        f"l{i}: &l{i} {{{', '.join(f'k{j}: *l{i - 1}' for j in range(9))}}}" for i in range(1, 9)
    )
    with pytest.raises(ConfigurationError, match="more than 10000 entries"):
        parse_yaml("l0: &l0 {k: 1}\n" + levels, "f")


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{a: " * 3000, "\x00", '"\\UFFFFFFFF": 1'])
def test_text_that_breaks_the_parser_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_yaml(text, "f")


def _parsed_or_error(text: str) -> FoundEntries | ConfigurationError:
    try:
        return parse_yaml(text, "f")
    except ConfigurationError as error:
        return error


@given(st.one_of(st.text(), YAML_LIKE))
def test_any_text_gives_a_result_or_a_configuration_error(text: str) -> None:
    found = _parsed_or_error(text)
    if isinstance(found, ConfigurationError):
        assert str(found.context["origin"]).startswith("f")
    else:
        assert len({entry.key for entry in found.entries}) == len(found.entries)
        assert all(entry.key and entry.value for entry in found.entries)
