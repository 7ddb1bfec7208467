"""A failure as Flink's own clients read it: an object of Java's, without a JVM to make it.

Flink's REST client deserializes ``serialized-throwable`` of a failed operation and waits in vain
where there is none. The stream (Java Object Serialization, protocol 2) holds an
`org.apache.flink.util.SerializedThrowable`, whose fields that are left out stay null.
"""

from __future__ import annotations

import base64
import struct
from typing import Final

from millpond.formats.modified_utf8 import encode_modified_utf8

__all__ = ("serialized_throwable",)

_MOST_CHARACTERS: Final = 10_000
_HEADER: Final = b"\xac\xed\x00\x05"
_NULL: Final = b"\x70"
_CLASS: Final = b"\x72"
_OBJECT: Final = b"\x73"
_STRING: Final = b"\x74"
_END: Final = b"\x78"
_SERIALIZABLE: Final = 2
_WITH_WRITE_METHOD: Final = 3


def serialized_throwable(class_name: str, message: str, stack_trace: str) -> str:
    """Return the object in base64; long texts are cut."""
    strings = ("fullStringifiedStackTrace", "originalErrorClassName")
    throwable = _class(
        "java.lang.Throwable",
        0xD5C635273977B8CB,
        _WITH_WRITE_METHOD,
        (("detailMessage", "Ljava/lang/String;"),),
        _NULL,
    )
    exception = _class("java.lang.Exception", 0xD0FD1F3E1A3B1CC4, _SERIALIZABLE, (), throwable)
    description = _class(
        "org.apache.flink.util.SerializedThrowable",
        7284183123441947635,
        _SERIALIZABLE,
        tuple((name, "Ljava/lang/String;") for name in strings),
        exception,
    )
    # Superclasses go first; what Throwable's own method writes ends with a mark.
    data = _text(f"{class_name}: {message}") + _END + _text(stack_trace) + _text(class_name)
    return base64.b64encode(_HEADER + _OBJECT + description + data).decode()


def _class(
    name: str, version: int, flags: int, fields: tuple[tuple[str, str], ...], parent: bytes
) -> bytes:
    described = b"".join(b"L" + _utf(field) + _text(kind) for field, kind in fields)
    head = _CLASS + _utf(name) + struct.pack(">QBH", version, flags, len(fields))
    return head + described + _END + parent


def _text(text: str) -> bytes:
    return _STRING + _utf(text[:_MOST_CHARACTERS])


def _utf(text: str) -> bytes:
    data = encode_modified_utf8(text)
    return struct.pack(">H", len(data)) + data
