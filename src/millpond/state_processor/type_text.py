"""From the text of a declared type, as snapshots record it, back to type information."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, final

from millpond.common.typeinfo import Types

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation

__all__ = ("parse_type", "parse_types")

_SIMPLE: Final[dict[str, Callable[[], TypeInformation]]] = {
    "BIG_DEC": Types.BIG_DEC,
    "BIG_INT": Types.BIG_INT,
    "BOOLEAN": Types.BOOLEAN,
    "BYTE": Types.BYTE,
    "CHAR": Types.CHAR,
    "DOUBLE": Types.DOUBLE,
    "FLOAT": Types.FLOAT,
    "INSTANT": Types.INSTANT,
    "INT": Types.INT,
    "LONG": Types.LONG,
    "PICKLED": Types.PICKLED_BYTE_ARRAY,
    "SHORT": Types.SHORT,
    "SQL_DATE": Types.SQL_DATE,
    "SQL_TIME": Types.SQL_TIME,
    "SQL_TIMESTAMP": Types.SQL_TIMESTAMP,
    "STRING": Types.STRING,
}
_OF_ONE: Final[dict[str, Callable[[TypeInformation], TypeInformation]]] = {
    "BASIC_ARRAY": Types.BASIC_ARRAY,
    "LIST": Types.LIST,
    "OBJECT_ARRAY": Types.OBJECT_ARRAY,
    "PRIMITIVE_ARRAY": Types.PRIMITIVE_ARRAY,
}
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\w+|[<>,:])')
_MAX_DEPTH = 64


def parse_type(text: str) -> TypeInformation | None:
    """Return the type that a text such as ``MAP<STRING, LONG>`` names; None if it names none."""
    parsed = parse_types(text)
    return parsed[0] if parsed is not None and len(parsed) == 1 else None


def parse_types(text: str) -> tuple[TypeInformation, ...] | None:
    """Return the types that a list of texts with commas names; None if one of them is no type."""
    parser = _Parser(text)
    try:
        types = parser.types(0)
    except (ValueError, TypeError):
        return None
    return tuple(types) if parser.at_end else None


@final
class _Parser:
    """A text taken apart into names and marks; ValueError where it is not what is expected."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self._tokens.append("?")
                break
            self._tokens.append(match[1])
            at = match.end()
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def _peek(self, ahead: int = 0) -> str:
        index = self._next + ahead
        return self._tokens[index] if index < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token != expected):
            raise ValueError(token)
        self._next += 1
        return token

    def types(self, depth: int) -> list[TypeInformation]:
        found = [self._type(depth)]
        while self._peek() == ",":
            self._take()
            found.append(self._type(depth))
        return found

    def _type(self, depth: int) -> TypeInformation:
        if depth > _MAX_DEPTH:
            raise ValueError(depth)
        name = self._take()
        if name in _SIMPLE:
            return _SIMPLE[name]()
        self._take("<")
        result = self._composite(name, depth + 1)
        self._take(">")
        return result

    def _composite(self, name: str, depth: int) -> TypeInformation:
        if name == "ROW" and self._peek(1) == ":":
            return self._named_row(depth)
        parts = self.types(depth)
        if name == "ROW":
            return Types.ROW(parts)
        if name == "TUPLE":
            return Types.TUPLE(parts)
        if name == "MAP" and len(parts) == 2:
            return Types.MAP(*parts)
        if name in _OF_ONE and len(parts) == 1:
            return _OF_ONE[name](parts[0])
        raise ValueError(name)

    def _named_row(self, depth: int) -> TypeInformation:
        names: list[str] = []
        types: list[TypeInformation] = []
        while True:
            name = self._take()
            names.append(json.loads(name) if name.startswith('"') else name)
            self._take(":")
            types.append(self._type(depth))
            if self._peek() != ",":
                return Types.ROW_NAMED(names, types)
            self._take()
