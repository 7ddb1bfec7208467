"""Record classes whose fields changed between the run that wrote a snapshot and the next one."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple, TypedDict

import msgspec
import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from millpond.errors import MillpondError
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

KINDS = ["dataclass", "NamedTuple", "TypedDict", "Struct"]


def renamed(record_class, name):
    """Give a class the name that its other version has too."""
    record_class.__name__ = record_class.__qualname__ = name
    return record_class


@dataclasses.dataclass
class InnerBefore:
    city: str
    zip_code: int = 0


@dataclasses.dataclass
class InnerAfter:
    city: str
    country: str = "NZ"


InnerBefore, InnerAfter = renamed(InnerBefore, "Inner"), renamed(InnerAfter, "Inner")


def before(kind):
    fields = {"name": str, "old": int, "inner": InnerBefore}
    if kind == "dataclass":
        made = dataclasses.make_dataclass("Record", fields.items())
    elif kind == "NamedTuple":
        made = NamedTuple("Record", list(fields.items()))
    elif kind == "TypedDict":
        made = TypedDict("Record", fields)
    else:
        made = msgspec.defstruct("Record", list(fields.items()))
    made.__module__ = __name__
    return made


def after(kind):
    if kind == "dataclass":
        new = ("new", list[int], dataclasses.field(default_factory=lambda: [7]))
        made = dataclasses.make_dataclass("Record", [("name", str), ("inner", InnerAfter), new])
    elif kind == "NamedTuple":

        class Record(NamedTuple):
            inner: InnerAfter
            name: str
            new: tuple[int, ...] = (7,)

        Record.__annotations__ = {"inner": InnerAfter, "name": str, "new": tuple[int, ...]}
        made = renamed(Record, "Record")
    elif kind == "TypedDict":
        made = TypedDict("Record", {"name": str, "inner": InnerAfter})  # noqa: UP013 - as before
    else:
        fields = [
            ("name", str),
            ("inner", InnerAfter),
            ("new", list[int], msgspec.field(default_factory=lambda: [7])),
        ]
        made = msgspec.defstruct("Record", fields)
    made.__module__ = __name__
    return made


def get(record, field):
    return record[field] if isinstance(record, dict) else getattr(record, field)


def make(record_class, number):
    return record_class(name=f"n{number}", old=number, inner=InnerBefore("Nelson", number))


def expect(record, kind, number):
    assert get(record, "name") == f"n{number}"
    assert get(record, "inner") == InnerAfter("Nelson", "NZ")
    if kind != "TypedDict":
        assert list(get(record, "new")) == [7]
        assert not hasattr(record, "old")


def descriptors(record_class):
    typed = Types.TYPED(record_class)
    return (
        ValueStateDescriptor("value", record_class),
        ListStateDescriptor("list", typed),
        MapStateDescriptor("map", Types.STRING(), Types.LIST(typed)),
        ReducingStateDescriptor("last", lambda a, b: b, typed),
    )


INCREMENTAL_HEAP = functools.partial(HeapStateStore, incremental=True)
CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("writer", "reader", "options"),
    [
        (HeapStateStore, HeapStateStore, SnapshotOptions()),
        (RocksDBStateStore, RocksDBStateStore, SnapshotOptions()),
        (RocksDBStateStore, RocksDBStateStore, SnapshotOptions(incremental=True)),
        (INCREMENTAL_HEAP, INCREMENTAL_HEAP, SnapshotOptions(incremental=True)),
        (HeapStateStore, RocksDBStateStore, CANONICAL),
        (RocksDBStateStore, HeapStateStore, CANONICAL),
    ],
)
def test_fields_are_added_with_defaults_and_dropped(tmp_path, kind, writer, reader, options):
    old, new = before(kind), after(kind)
    first = BackendHarness(writer(), tmp_path, options=options)
    backend = first.create()
    value, elements, entries, last = (state_of(backend, each) for each in descriptors(old))
    with at_key(backend, 1):
        value.update(make(old, 1))
        elements.add_all([make(old, 2), make(old, 3)])
        entries.put("a", [make(old, 4)])
        last.add(make(old, 5))
        last.add(make(old, 6))
    handle = first.snapshot(backend)
    first.close()
    second = BackendHarness(reader(), tmp_path, options=options)
    second.snapshots = first.snapshots
    for _ in range(2):
        backend = second.create([handle])
        value, elements, entries, last = (state_of(backend, each) for each in descriptors(new))
        with at_key(backend, 1):
            expect(value.value(), kind, 1)
            for record, number in zip(elements.get(), (2, 3), strict=True):
                expect(record, kind, number)
            expect(entries.get("a")[0], kind, 4)
            expect(last.get(), kind, 6)
            value.update(value.value())
        # The next snapshot has the new schema, and is read with it.
        handle = second.snapshot(backend)
    second.close()


@pytest.mark.parametrize("store", [HeapStateStore, RocksDBStateStore])
def test_a_new_field_without_a_default_is_a_named_error(tmp_path, store):
    old = before("dataclass")
    without = dataclasses.make_dataclass("Record", [("name", str), ("must", int)])
    without.__module__ = __name__
    harness = BackendHarness(store(), tmp_path)
    backend = harness.create()
    with at_key(backend, 1):
        state_of(backend, ValueStateDescriptor("value", old)).update(make(old, 1))
    handle = harness.snapshot(backend)
    restored = harness.create([handle])
    with pytest.raises(MillpondError, match="must") as caught, at_key(restored, 1):
        state_of(restored, ValueStateDescriptor("value", without)).value()
    assert "state: value" in str(caught.value)
    # Nothing is lost: the old class still reads it.
    again = harness.create([handle])
    with at_key(again, 1):
        assert state_of(again, ValueStateDescriptor("value", old)).value() == make(old, 1)
    harness.close()
