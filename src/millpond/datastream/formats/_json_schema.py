"""From a JSON schema to a declared type, as Flink reads it (JsonRowSchemaConverter)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.common.typeinfo import Types
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.type_information import TypeInformation

__all__ = ("type_of_json_schema",)

_SIMPLE: Final[dict[str, Callable[[], TypeInformation]]] = {
    "boolean": Types.BOOLEAN,
    "number": Types.BIG_DEC,
    "integer": Types.BIG_INT,
}
_FORMATS: Final[dict[str, Callable[[], TypeInformation]]] = {
    "date": Types.SQL_DATE,
    "time": Types.SQL_TIME,
    "date-time": Types.SQL_TIMESTAMP,
}
_DEEPEST: Final = 100


def type_of_json_schema(schema: str) -> TypeInformation:
    """Return the type: numbers are BIG_DEC, integers BIG_INT, objects rows.

    Raises:
        InvalidProgramError: the text is no JSON, or says what has no type.
    """
    try:
        root = msgspec.json.decode(schema)
    except msgspec.DecodeError as error:
        raise InvalidProgramError(f"The JSON schema is no JSON: {error}.") from error
    return _type_of(root, root, "$", _DEEPEST)


def _type_of(node: Any, root: Any, place: str, depth: int) -> TypeInformation:
    if not isinstance(node, dict):
        raise _refused("it is no object", place)
    if not depth:
        raise _refused("it refers to itself", place)
    if "$ref" in node:
        return _type_of(_target(str(node["$ref"]), root, place), root, place, depth - 1)
    name = _name_of(node, place)
    if name in _SIMPLE:
        return _SIMPLE[name]()
    if name == "string":
        if node.get("contentEncoding") == "base64":
            return Types.PRIMITIVE_ARRAY(Types.BYTE())
        return _FORMATS.get(str(node.get("format")), Types.STRING)()
    if name == "object":
        fields = node.get("properties")
        if not isinstance(fields, dict) or not fields:
            raise _refused("an object needs 'properties'", place)
        types = [
            _type_of(each, root, f"{place}.{name}", depth - 1) for name, each in fields.items()
        ]
        return Types.ROW_NAMED(list(fields), types)
    if name == "array":
        items = node.get("items")
        if not isinstance(items, dict):
            raise _refused("an array needs 'items' of one type", place)
        return Types.OBJECT_ARRAY(_type_of(items, root, f"{place}[]", depth - 1))
    raise _refused(f"the type {name!r} is unknown", place)


def _name_of(node: dict[str, Any], place: str) -> str:
    name = node.get("type")
    names = [name] if isinstance(name, str) else name
    if not isinstance(names, list):
        raise _refused("'type' is missing", place)
    wanted = [str(each) for each in names if each != "null"]
    if len(wanted) != 1:
        raise _refused("'type' names more or less than one type beside null", place)
    return wanted[0]


def _target(reference: str, root: Any, place: str) -> Any:
    if not reference.startswith("#"):
        raise _refused("'$ref' leads to another document", place)
    node = root
    for part in filter(None, reference[1:].split("/")):
        if not isinstance(node, dict) or part not in node:
            raise _refused(f"'$ref' leads nowhere: {reference}", place)
        node = node[part]
    return node


def _refused(reason: str, place: str) -> InvalidProgramError:
    return InvalidProgramError(f"No type follows from the JSON schema: {reason}.", place=place)
