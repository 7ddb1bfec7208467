"""`SerializerSnapshot`: how a Flink snapshot describes the serializer of its keys and values.

A snapshot class is named in full and its content has no recorded length, so a reader must know
every class that it meets. Known here: all that PyFlink jobs produce and Java's basic serializers.
The rules are Flink's (TypeSerializerSnapshot, CompositeTypeSerializerSnapshot).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from millpond.formats.serializer_classes import (
    COMPOSITE_CLASSES,
    FLINK_TUPLE,
    ROW_KIND_FLAG,
    SIMPLE_CLASSES,
    TUPLE,
    Composite,
    OuterContent,
)

if TYPE_CHECKING:
    from millpond.errors import FormatError
    from millpond.formats.buffer import Buffer, BufferWriter

__all__ = (
    "SNAPSHOT_VERSION",
    "SerializerSnapshot",
    "read_serializer_snapshot",
    "read_wrapped_serializer_snapshot",
    "write_serializer_snapshot",
    "write_wrapped_serializer_snapshot",
)

SNAPSHOT_VERSION: Final = 3
"""Version of every snapshot class that Flink 1.8 to 2.3 writes."""

_WRAPPER_VERSION = 2
# Version of simple snapshots that repeat the name of the serializer, Flink 1.7 and older.
_NAMING_VERSION = 2
_COMPOSITE_MAGIC = 911108
_NESTED_MAGIC = 1333245
_NESTED_VERSION = 1
_MAX_DEPTH = 40
_UNKNOWN = Composite(OuterContent.NOTHING, (), (0, 1 << 15))


@dataclass(frozen=True, slots=True)
class SerializerSnapshot:
    """A serializer's class and what it was configured with.

    Attributes:
        class_name: Java name of the snapshot class.
        nested: snapshots of the serializers it is made of, in order.
        outer_version: version of a composite's own content; None for simple serializers.
        outer_content: a composite's own content, as bytes.
        version: version of the snapshot.
    """

    class_name: str
    nested: tuple[SerializerSnapshot, ...] = ()
    outer_version: int | None = None
    outer_content: bytes = b""
    version: int = SNAPSHOT_VERSION

    @property
    def simple_name(self) -> str:
        """The serializer's name without package and ``Snapshot``, for messages."""
        name = self.class_name.rpartition(".")[2].rpartition("$")[2]
        return name.removesuffix("Snapshot").removesuffix("Config")

    def __str__(self) -> str:
        if not self.nested:
            return self.simple_name
        return f"{self.simple_name}({', '.join(map(str, self.nested))})"


def read_wrapped_serializer_snapshot(buffer: Buffer) -> SerializerSnapshot:
    """Read a snapshot with the int version in front that headers of state streams have.

    Raises:
        FormatError: the bytes are damaged, or the class is not known.
    """
    version = buffer.int32("a serializer snapshot")
    if version != _WRAPPER_VERSION:
        raise buffer.error("Unknown version of serializer snapshots.", version=version)
    return read_serializer_snapshot(buffer)


def write_wrapped_serializer_snapshot(out: BufferWriter, snapshot: SerializerSnapshot) -> None:
    """Write a snapshot with the int version in front."""
    out.int32(_WRAPPER_VERSION)
    write_serializer_snapshot(out, snapshot)


def read_serializer_snapshot(buffer: Buffer, depth: int = 0) -> SerializerSnapshot:
    """Read one versioned snapshot and everything nested in it.

    Raises:
        FormatError: the bytes are damaged, or the class is not known.
    """
    if depth > _MAX_DEPTH:
        raise buffer.error("Serializer snapshots are nested too deeply.", depth=depth)
    class_name = buffer.utf("the class name of a serializer snapshot")
    version = buffer.int32("the version of a serializer snapshot")
    if class_name in SIMPLE_CLASSES:
        if version == _NAMING_VERSION:
            named = buffer.utf("the class name of a serializer")
            if named != class_name.rpartition("$")[0]:
                raise buffer.error("A serializer snapshot names another class.", serializer=named)
        elif version != SNAPSHOT_VERSION:
            raise buffer.error(
                "Unknown version of a serializer snapshot.", version=version, serializer=class_name
            )
        # The old form only repeats a class name; it is not kept.
        return SerializerSnapshot(class_name)
    if version != SNAPSHOT_VERSION:
        raise _unknown(buffer, class_name)
    return _read_composite(buffer, class_name, depth)


def write_serializer_snapshot(out: BufferWriter, snapshot: SerializerSnapshot) -> None:
    """Write one versioned snapshot and everything nested in it."""
    out.utf(snapshot.class_name)
    out.int32(snapshot.version)
    if snapshot.outer_version is None:
        return
    out.int32(_COMPOSITE_MAGIC)
    out.int32(snapshot.outer_version)
    out.raw(snapshot.outer_content)
    out.int32(_NESTED_MAGIC)
    out.int32(_NESTED_VERSION)
    out.int32(len(snapshot.nested))
    for nested in snapshot.nested:
        write_serializer_snapshot(out, nested)


def _read_composite(buffer: Buffer, class_name: str, depth: int) -> SerializerSnapshot:
    start = buffer.offset
    if buffer.remaining < 8:
        # More of the stream may follow; at its real end the class is as unknown.
        buffer.exhausted = True
        raise _unknown(buffer, class_name)
    if buffer.int32() != _COMPOSITE_MAGIC:
        buffer.offset = start
        raise _unknown(buffer, class_name)
    outer_version = buffer.int32("a composite serializer snapshot")
    start = buffer.offset
    composite = COMPOSITE_CLASSES.get(class_name, _UNKNOWN)
    if composite.versions and outer_version not in composite.versions:
        raise buffer.error(
            "Unknown version of a serializer snapshot.",
            version=outer_version,
            serializer=class_name,
        )
    java_class = ""
    if composite.content is OuterContent.CLASS_NAME:
        java_class = buffer.utf("a class name")
    elif composite.content is OuterContent.ROW_KIND_FLAG and outer_version >= ROW_KIND_FLAG:
        buffer.boolean("a row kind flag")
    outer_content = buffer.data[start : buffer.offset]
    if buffer.int32("nested serializer snapshots") != _NESTED_MAGIC:
        raise _unknown(buffer, class_name)
    nested_version = buffer.int32("nested serializer snapshots")
    if nested_version != _NESTED_VERSION:
        raise buffer.error("Unknown version of nested snapshots.", version=nested_version)
    nested = tuple(
        read_serializer_snapshot(buffer, depth + 1)
        for _ in range(buffer.count("nested serializer snapshots", 6))
    )
    fewest, most = composite.nested
    count = len(nested)
    # A user's own subclass of a tuple has another name than Flink's, which tell their fields.
    misnamed = java_class.startswith(FLINK_TUPLE) and java_class != f"{FLINK_TUPLE}{count}"
    if not fewest <= count <= most or (class_name == TUPLE and misnamed):
        raise buffer.error(
            "Impossible number of nested serializer snapshots.", serializer=class_name, nested=count
        )
    return SerializerSnapshot(class_name, nested, outer_version, outer_content)


def _unknown(buffer: Buffer, class_name: str) -> FormatError:
    return buffer.error(
        "This serializer is not known, so the rest of the snapshot cannot be read.",
        hint="State of PyFlink and Java's basic types, tuples, rows, lists and maps can be read; "
        "POJO, Avro and Kryo state cannot.",
        serializer=class_name,
    )
