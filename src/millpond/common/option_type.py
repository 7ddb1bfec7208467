"""The value types of configuration options: how their text is read and written."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = (
    "BOOLEAN",
    "DOUBLE",
    "DURATION",
    "FLOAT",
    "INTEGER",
    "LONG",
    "MAP",
    "MEMORY_SIZE",
    "STRING",
    "OptionType",
    "enum_of",
    "list_of",
    "split_escaped",
)

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

MAXIMUM_INTEGER = 2**31 - 1
MAXIMUM_LONG = 2**63 - 1


@dataclass(frozen=True, slots=True)
class OptionType(Generic[T]):
    """A type of option values.

    `read` turns text into a value and raises ValueError with a short reason; `write` is its
    inverse and also takes what a program may pass instead (a timedelta, a MemorySize, the text).
    `unit` names what a number counts: ``ms`` for durations, ``bytes`` for memory sizes.
    """

    name: str
    read: Callable[[str], T]
    write: Callable[[Any], str]
    unit: str = ""
    is_map: bool = False
    choices: tuple[str, ...] = field(default=(), compare=False)


_MEMORY_UNITS = {
    label: 1024**power
    for power, labels in enumerate(
        (
            ("", "b", "bytes"),
            ("k", "kb", "kibibytes"),
            ("m", "mb", "mebibytes"),
            ("g", "gb", "gibibytes"),
            ("t", "tb", "tebibytes"),
        )
    )
    for label in labels
}

_NANOSECONDS = {
    label: nanoseconds
    for nanoseconds, labels in (
        (86_400_000_000_000, ("d", "day", "days")),
        (3_600_000_000_000, ("h", "hour", "hours")),
        (60_000_000_000, ("m", "min", "minute", "minutes")),
        (1_000_000_000, ("s", "sec", "secs", "second", "seconds")),
        (1_000_000, ("", "ms", "milli", "millis", "millisecond", "milliseconds")),
        (1_000, ("\u00b5s", "\u03bcs", "micro", "micros", "microsecond", "microseconds")),
        (1, ("ns", "nano", "nanos", "nanosecond", "nanoseconds")),
    )
    for label in labels
}

_NUMBER_AND_UNIT = re.compile(r"([0-9]+)\s*(.*)", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _number_and_unit(text: str, units: Mapping[str, int], example: str) -> tuple[int, int]:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"it does not start with a number; write it like {example}")
    digits, label = match.groups()
    factor = units.get(label.strip().lower())
    if factor is None:
        known = ", ".join(name for name in units if name)
        raise ValueError(f"unknown unit '{label.strip()}'; the units are {known}")
    number = int(digits) if len(digits.lstrip("0")) <= 19 else MAXIMUM_LONG + 1
    if number > MAXIMUM_LONG:
        raise ValueError("the number does not fit into 64 bits")
    return number, factor


def _read_memory_size(text: str) -> int:
    number, factor = _number_and_unit(text, _MEMORY_UNITS, "64 mb")
    if number * factor > MAXIMUM_LONG:
        raise ValueError("the number of bytes does not fit into 64 bits")
    return number * factor


def _write_memory_size(value: Any) -> str:
    if hasattr(value, "get_bytes"):
        value = value.get_bytes()
    if isinstance(value, str):
        value = _read_memory_size(value)
    if not _is_integer(value) or value < 0:
        raise ValueError("it is no number of bytes")
    for unit, size in (("gb", 1024**3), ("mb", 1024**2), ("kb", 1024)):
        if value and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value} bytes"


def _read_duration(text: str) -> int:
    number, factor = _number_and_unit(text, _NANOSECONDS, "10 s")
    return min(number * factor // 1_000_000, MAXIMUM_LONG)


def _write_duration(value: Any) -> str:
    if isinstance(value, str):
        value = _read_duration(value)
    elif isinstance(value, timedelta):
        value = value // timedelta(milliseconds=1)
    elif hasattr(value, "nanos"):  # PyFlink's Duration
        value = value.nanos // 1_000_000
    elif hasattr(value, "to_milliseconds"):  # PyFlink's Time
        value = value.to_milliseconds()
    if not _is_integer(value) or value < 0:
        raise ValueError("it is no number of milliseconds")
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if value and value % size == 0:
            return f"{value // size} {unit}"
    return "0 s" if value == 0 else f"{value} ms"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_whole(text: str, maximum: int) -> int:
    if _INTEGER.fullmatch(text.strip()) is None:
        raise ValueError("it is no whole number")
    number = int(text)
    if not -maximum - 1 <= number <= maximum:
        raise ValueError(f"it is out of the range {-maximum - 1} to {maximum}")
    return number


def _read_decimal(text: str) -> float:
    if _DECIMAL.fullmatch(text.strip()) is None or not math.isfinite(float(text)):
        raise ValueError("it is no finite number")
    return float(text)


def _read_boolean(text: str) -> bool:
    match text.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError("it is neither true nor false")


def _write_boolean(value: Any) -> str:
    return str(value if isinstance(value, bool) else _read_boolean(str(value))).lower()


def _write_decimal(value: Any) -> str:
    return repr(_read_decimal(str(value)))


def _checked_string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


STRING: OptionType[str] = OptionType("String", str, _checked_string)
INTEGER: OptionType[int] = OptionType(
    "Integer",
    lambda text: _read_whole(text, MAXIMUM_INTEGER),
    lambda value: str(_read_whole(str(value), MAXIMUM_INTEGER)),
)
LONG: OptionType[int] = OptionType(
    "Long",
    lambda text: _read_whole(text, MAXIMUM_LONG),
    lambda value: str(_read_whole(str(value), MAXIMUM_LONG)),
)
FLOAT: OptionType[float] = OptionType("Float", _read_decimal, _write_decimal)
DOUBLE: OptionType[float] = OptionType("Double", _read_decimal, _write_decimal)
BOOLEAN: OptionType[bool] = OptionType("Boolean", _read_boolean, _write_boolean)
DURATION: OptionType[int] = OptionType("Duration", _read_duration, _write_duration, unit="ms")
MEMORY_SIZE: OptionType[int] = OptionType(
    "MemorySize", _read_memory_size, _write_memory_size, unit="bytes"
)


def enum_of(kind: type[E], *, exact: bool = False) -> OptionType[E]:
    """Make the type of the members of an enum, by name.

    Letter case does not matter unless `exact`, where Flink itself uses the exact name.
    """
    members = {member.name: member for member in kind}

    def read(text: str) -> E:
        name = text.strip() if exact else text.strip().upper()
        if name in members:
            return members[name]
        import difflib

        close = difflib.get_close_matches(name.upper(), members, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"it is none of {', '.join(members)}{meant}")

    def write(value: Any) -> str:
        return value.name if isinstance(value, kind) else read(str(value)).name

    return OptionType(kind.__name__, read, write, choices=tuple(members))


def list_of(element: OptionType[T]) -> OptionType[list[T]]:
    """Make the type of lists, elements separated by ``;`` (or written as ``[a, b]``)."""

    def read(text: str) -> list[T]:
        stripped = text.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            return [element.read(part) for part in split_escaped(stripped[1:-1], ",")]
        return [element.read(part) for part in split_escaped(text, ";")]

    def write(value: Any) -> str:
        if isinstance(value, str):
            read(value)
            return value
        return ";".join(_quoted(element.write(part), ";") for part in value)

    return OptionType(f"List<{element.name}>", read, write, choices=element.choices)


def _read_map(text: str) -> dict[str, str]:
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        stripped = stripped[1:-1]
    pairs: dict[str, str] = {}
    for item in split_escaped(stripped, ","):
        parts = split_escaped(item, ":")
        if len(parts) != 2:
            raise ValueError(f"'{item}' is no pair; write key:value,key:value")
        pairs[parts[0]] = parts[1]
    return pairs


def _write_map(value: Any) -> str:
    if isinstance(value, str):
        _read_map(value)
        return value
    pairs = cast("Mapping[str, object]", value)
    items = (f"{_quoted(str(k), ':')}:{_quoted(str(v), ':')}" for k, v in pairs.items())
    return ",".join(_quoted(item, ",") for item in items)


MAP: OptionType[dict[str, str]] = OptionType("Map", _read_map, _write_map, is_map=True)


def _quoted(text: str, delimiter: str) -> str:
    plain = text and text == text.strip() and not any(c in text for c in (delimiter, "'", '"'))
    if plain and not (delimiter == ";" and text.startswith("[")):
        return text
    return "'" + text.replace("'", "''") + "'"


def split_escaped(text: str, delimiter: str) -> list[str]:
    """Split at a delimiter outside single or double quotes; a doubled quote stands for itself.

    Rule of Flink's StructuredOptionsSplitter: blanks around unquoted parts are dropped.

    Raises:
        ValueError: a quote is not closed, or text stands beside a quoted part.
    """
    parts: list[str] = []
    position = 0
    filled = False
    while position < len(text):
        character = text[position]
        if character == delimiter:
            if not filled and position:
                parts.append("")
            filled = False
            position += 1
        elif character.isspace():
            position += 1
        elif filled:
            raise ValueError(f"text stands beside a quoted part at position {position + 1}")
        elif character in "'\"":
            part, position = _quoted_part(text, position)
            parts.append(part)
            filled = True
        else:
            end = text.find(delimiter, position)
            end = len(text) if end < 0 else end
            parts.append(text[position:end].strip())
            filled = True
            position = end
    return parts


def _quoted_part(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    pieces: list[str] = []
    position = start + 1
    while True:
        end = text.find(quote, position)
        if end < 0:
            raise ValueError(f"the quote at position {start + 1} is not closed")
        pieces.append(text[position:end])
        if text[end + 1 : end + 2] != quote:
            return "".join(pieces), end + 1
        pieces.append(quote)
        position = end + 2
