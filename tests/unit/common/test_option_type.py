"""How the text of option values is read and written."""

from __future__ import annotations

import enum
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.common import option_type
from millpond.common.option_type import enum_of, list_of, split_escaped
from millpond.common.time import Duration, Time

ANY_TYPE = st.sampled_from(
    [
        option_type.BOOLEAN,
        option_type.DOUBLE,
        option_type.DURATION,
        option_type.INTEGER,
        option_type.LONG,
        option_type.MAP,
        option_type.MEMORY_SIZE,
        option_type.STRING,
        list_of(option_type.STRING),
        list_of(option_type.INTEGER),
    ]
)


class Colour(enum.Enum):
    RED = 0
    DARK_BLUE = 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1234", 1234),
        ("12b", 12),
        ("12 bytes", 12),
        ("1k", 1024),
        ("2 KB", 2048),
        ("3kibibytes", 3072),
        (" 64 mb ", 64 * 1024**2),
        ("1Mebibytes", 1024**2),
        ("1 g", 1024**3),
        ("1tb", 1024**4),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_memory_sizes_are_binary_and_bare_numbers_are_bytes(text: str, size: int) -> None:
    assert option_type.MEMORY_SIZE.read(text) == size


@pytest.mark.parametrize(
    "text", ["", "mb", "-1 mb", "1.5 mb", "1 pb", "1 mb mb", "9223372036854775808", "8388608 tb"]
)
def test_what_is_no_memory_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        option_type.MEMORY_SIZE.read(text)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1234", 1234),
        ("10 s", 10_000),
        ("10sec", 10_000),
        ("2 seconds", 2000),
        ("5 min", 300_000),
        ("5m", 300_000),
        ("1 minute", 60_000),
        ("3h", 10_800_000),
        ("1 d", 86_400_000),
        ("2 days", 172_800_000),
        ("7 MILLIS", 7),
        ("1500 µs", 1),
        ("2000000 ns", 2),
        ("0", 0),
    ],
)
def test_durations_have_units_and_bare_numbers_are_milliseconds(
    text: str, milliseconds: int
) -> None:
    assert option_type.DURATION.read(text) == milliseconds


@pytest.mark.parametrize("text", ["", "s", "-1 s", "1.5 s", "1 month", "99999999999999999999"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        option_type.DURATION.read(text)


def test_durations_may_be_given_as_objects() -> None:
    write = option_type.DURATION.write
    assert write(timedelta(seconds=90)) == "90 s"
    assert write(Duration.of_millis(1500)) == "1500 ms"
    assert write(Time.minutes(2)) == "2 min"
    assert write("2 min") == "2 min"


@pytest.mark.parametrize("text", ["true", "TRUE", "True", " true "])
def test_booleans_ignore_letter_case(text: str) -> None:
    assert option_type.BOOLEAN.read(text) is True


@pytest.mark.parametrize("text", ["yes", "1", "", "on", "t"])
def test_what_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        option_type.BOOLEAN.read(text)


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "1_000", "1.0", "", "0x10", "٣"])
def test_integers_have_32_bits_and_only_digits(text: str) -> None:
    with pytest.raises(ValueError):
        option_type.INTEGER.read(text)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "", "1_0.5", "."])
def test_decimals_are_finite(text: str) -> None:
    with pytest.raises(ValueError, match="no finite number"):
        option_type.DOUBLE.read(text)


def test_enums_ignore_letter_case_unless_exact() -> None:
    assert enum_of(Colour).read("dark_blue") is Colour.DARK_BLUE
    assert enum_of(Colour, exact=True).read("RED") is Colour.RED
    with pytest.raises(ValueError, match="did you mean RED"):
        enum_of(Colour, exact=True).read("red")


def test_an_unknown_member_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"none of RED, DARK_BLUE \(did you mean DARK_BLUE\?\)"):
        enum_of(Colour).read("darkblue")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a;b", ["a", "b"]),
        (" a ; b ", ["a", "b"]),
        ("'a;b';c", ["a;b", "c"]),
        ('"x""y"', ['x"y']),
        ("a;;b", ["a", "", "b"]),
        ("[a, 'b, c']", ["a", "b, c"]),
    ],
)
def test_lists_are_split_at_semicolons_outside_quotes(text: str, parts: list[str]) -> None:
    assert list_of(option_type.STRING).read(text) == parts


@pytest.mark.parametrize("text", ["'a", "'a'b", '"a""'])
def test_wrong_quotes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        split_escaped(text, ";")


def test_maps_are_pairs() -> None:
    assert option_type.MAP.read("a:1, b:2") == {"a": "1", "b": "2"}
    assert option_type.MAP.read("{OPERATOR: 70}") == {"OPERATOR": "70"}
    assert option_type.MAP.read("'a:''b:c''',d:e") == {"a": "b:c", "d": "e"}
    with pytest.raises(ValueError, match="no pair"):
        option_type.MAP.read("a:1:2")


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_a_map_that_was_written_is_read_back(pairs: dict[str, str]) -> None:
    assert option_type.MAP.read(option_type.MAP.write(pairs)) == pairs


@given(st.lists(st.text()))
def test_a_list_that_was_written_is_read_back(parts: list[str]) -> None:
    strings = list_of(option_type.STRING)
    assert strings.read(strings.write(parts)) == parts


@given(st.integers(0, 2**63 - 1))
def test_numbers_with_units_that_were_written_are_read_back(number: int) -> None:
    for kind in (option_type.MEMORY_SIZE, option_type.DURATION):
        assert kind.read(kind.write(number)) == number


@given(ANY_TYPE, st.text())
def test_any_text_is_a_value_or_refused(kind: option_type.OptionType[object], text: str) -> None:
    try:
        value = kind.read(text)
    except ValueError:
        return
    assert kind.read(kind.write(value)) == value
