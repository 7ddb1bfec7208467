"""Reading Flink's snapshots in tests: streams of a fixture, and its content as expected.json."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import json
import pickle
from collections import defaultdict
from pathlib import Path

import pytest

from millpond.common.time import Instant
from millpond.common.typeinfo import Types
from millpond.common.types import Row
from millpond.formats.handles import FileHandle, InlineHandle
from millpond.formats.java_values import JavaRow, java_decoder
from millpond.formats.metadata import read_metadata
from millpond.formats.pyflink_serializers import PYTHON_STATE_PREFIX
from millpond.formats.pyflink_values import (
    decode_map_key,
    decode_map_value,
    decode_ttl_chunks,
    decode_ttl_map_value,
    join_chunks,
)
from millpond.formats.savepoint_content import (
    TimerEntry,
    read_keyed_content,
    read_operator_content,
)
from millpond.formats.serializer_classes import LIST, MAP, TTL
from millpond.formats.state_meta import VALUE_SERIALIZER
from millpond.serialization.coders import coder_for
from millpond.serialization.key_serializer import key_serializer_for

RECORDED_ROOT = "file:/flink/savepoints/"
STRING_TYPES = {
    "STRING": Types.STRING(),
    "LONG": Types.LONG(),
    "INT": Types.INT(),
    "SHORT": Types.SHORT(),
    "BYTE": Types.BYTE(),
    "BOOLEAN": Types.BOOLEAN(),
    "DOUBLE": Types.DOUBLE(),
    "FLOAT": Types.FLOAT(),
    "PICKLED": Types.PICKLED_BYTE_ARRAY(),
    "BIG_INT": Types.BIG_INT(),
    "BIG_DEC": Types.BIG_DEC(),
    "SQL_DATE": Types.SQL_DATE(),
    "SQL_TIME": Types.SQL_TIME(),
    "SQL_TIMESTAMP": Types.SQL_TIMESTAMP(),
    "INSTANT": Types.INSTANT(),
    "TUPLE": lambda *fields: Types.TUPLE(list(fields)),
    "ROW": lambda *fields: Types.ROW(list(fields)),
    "ROW_NAMED": lambda names, types: Types.ROW_NAMED(list(names), list(types)),
    "LIST": Types.LIST,
    "MAP": Types.MAP,
    "PRIMITIVE_ARRAY": Types.PRIMITIVE_ARRAY,
    "BASIC_ARRAY": Types.BASIC_ARRAY,
}


def declared_type(text):
    return eval(text, {"__builtins__": {}}, STRING_TYPES)


def encode(value):
    """The unambiguous JSON form that the fixtures' README describes."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"double": repr(value)}
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, Row):
        encoded = {"row": [encode(item) for item in value]}
        names = getattr(value, "_fields", None)
        default = [f"f{i}" for i in range(len(value))]
        return {**encoded, "names": list(names)} if names and list(names) != default else encoded
    if isinstance(value, Instant):
        return {"instant": [value.seconds, value.nanos]}
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return {"list": [encode(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"set": ordered([encode(item) for item in value])}
    if isinstance(value, dict):
        return {"map": ordered([[encode(key), encode(item)] for key, item in value.items()])}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dt.datetime):
        return {"timestamp": value.isoformat()}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, dt.time):
        return {"time": value.isoformat()}
    raise TypeError(type(value))


def text(encoded):
    return json.dumps(encoded, sort_keys=True, ensure_ascii=False)


def ordered(items):
    return sorted(items, key=text)


class Snapshot:
    """One snapshot of a fixture, opened and decoded."""

    def __init__(self, root, expected_file):
        self.root = root
        self.folder = expected_file.parent
        self.expected = json.loads(expected_file.read_text("utf-8"))
        self.directory = self.folder / self.expected["savepoint"]
        self.metadata_bytes = (self.directory / "_metadata").read_bytes()
        self.metadata = read_metadata(self.metadata_bytes)
        self.process_mode = self.expected["execution_mode"] == "process"
        self.ttl_times = []

    def open(self, handle):
        if isinstance(handle, InlineHandle):
            return io.BytesIO(handle.data)
        if isinstance(handle, FileHandle):
            path = self.root / handle.path.removeprefix(RECORDED_ROOT)
        else:
            path = self.directory / handle.name
        packed = Path(f"{path}.gz")
        return (
            io.BytesIO(gzip.decompress(packed.read_bytes())) if packed.exists() else path.open("rb")
        )

    def operator(self, expected):
        wanted = bytes.fromhex(expected["operator_id"])
        return next(o for o in self.metadata.operators if o.operator_id == wanted)

    def content(self, expected):
        """What expected.json says of an operator, from the bytes."""
        operator = self.operator(expected)
        key_of = key_serializer_for(declared_type(expected["key_type"])).decode
        timers = {"event": [], "processing": []}
        states = defaultdict(lambda: defaultdict(list))
        for entry in read_keyed_content(operator, self.open):
            if isinstance(entry, TimerEntry):
                assert entry.service == "user-timers"
                timer = {"key": encode(key_of(entry.key)), "timestamp": entry.timestamp}
                if entry.namespace != b"\0":
                    timer["namespace_window"] = window_of(entry.namespace)
                timers[entry.domain].append(timer)
            else:
                states[entry.state.name][entry.key, entry.namespace].append(entry)
        found = {
            "operator_id": operator.operator_id.hex(),
            "parallelism": operator.parallelism,
            "max_parallelism": operator.max_parallelism,
            "timers": {
                "service": "user-timers",
                "event_time": ordered(timers["event"]),
                "processing_time": ordered(timers["processing"]),
            },
        }
        if "keyed_state" in expected:
            found["keyed_state"] = [
                self.keyed_state(state, states, key_of) for state in expected["keyed_state"]
            ]
        if "windows" in expected:
            found["windows"] = self.windows(expected, states, key_of)
        if "broadcast_state" in expected:
            found["broadcast_state"] = [
                self.broadcast(state, operator) for state in expected["broadcast_state"]
            ]
        return found

    def keyed_state(self, state, states, key_of):
        prefix = PYTHON_STATE_PREFIX if self.process_mode else ""
        entries = []
        for (key, namespace), rows in states.get(prefix + state["name"], {}).items():
            assert namespace == b"\0"
            value = self.value(state, rows)
            entries.append({"key": encode(key_of(key)), "value": encode(value)})
        return {**state, "entries": ordered(entries)}

    def value(self, state, rows):
        if self.process_mode:
            return self.python_value(state, rows)
        return thread_mode_value(state, rows)

    def python_value(self, state, rows):
        serializer = rows[0].state.serializers[VALUE_SERIALIZER]
        ttl = any(nested.class_name == TTL for nested in serializer.nested)
        assert ttl == ("ttl_ms" in state)
        coder = coder_for(declared_type(state["type"]))
        if state["kind"] == "MAP":
            key_coder = coder_for(declared_type(state["key_type"]))
            values = {}
            for row in rows:
                if ttl:
                    time, value = decode_ttl_map_value(row.value)
                    self.ttl_times.append(time)
                else:
                    value = decode_map_value(row.value)
                key = key_coder.decode(decode_map_key(row.user_key))
                values[key] = None if value is None else coder.decode(value)
            return values
        (row,) = rows
        if ttl:
            chunks = decode_ttl_chunks(row.value)
            self.ttl_times.extend(time for time, _ in chunks)
            data = b"".join(chunk for _, chunk in chunks)
        else:
            data = join_chunks(row.value)
        values = decode_all(coder, data)
        if state["kind"] == "LIST":
            return values
        (value,) = values
        return value

    def windows(self, expected, states, key_of):
        merging = states.get(PYTHON_STATE_PREFIX + "merging-window-set", {})
        window_of_state = {
            (key, decode_map_value(row.value)): decode_map_key(row.user_key)
            for (key, _), rows in merging.items()
            for row in rows
        }
        coder = coder_for(
            Types.TUPLE(
                [declared_type(expected["key_type"]), declared_type(expected["element_type"])]
            )
        )
        found = []
        for (key, namespace), (row,) in states[PYTHON_STATE_PREFIX + "window-contents"].items():
            elements = decode_all(coder, join_chunks(row.value))
            window = {
                "key": encode(key_of(key)),
                "window": window_of(window_of_state.get((key, namespace), namespace)),
                "state_window": window_of(namespace),
            }
            if expected["function"] == "reduce":
                (element,) = elements
                window["contents"] = encode(element)
            else:
                window["contents"] = encode(elements)
            found.append(window)
        return ordered(found)

    def broadcast(self, state, operator):
        key_coder = coder_for(declared_type(state["key_type"]))
        coder = coder_for(declared_type(state["type"]))
        copies = [
            {
                key_coder.decode(key): coder.decode(value)
                for key, value in content.broadcasts[PYTHON_STATE_PREFIX + state["name"]]
            }
            for _, content in read_operator_content(operator, self.open)
        ]
        assert len(copies) == operator.parallelism
        assert all(copy == copies[0] for copy in copies)
        return {**state, "value": encode(copies[0])}


def decode_all(coder, data):
    values = []
    at = 0
    while at < len(data):
        value, at = coder.decode_from(data, at)
        values.append(value)
    assert at == len(data)
    return values


def window_of(namespace):
    assert len(namespace) == 16
    return [int.from_bytes(namespace[i : i + 8], "big", signed=True) for i in (0, 8)]


class PyFlinkUnpickler(pickle.Unpickler):
    """Knows the row that PyFlink's thread mode pickles, and nothing else."""

    def find_class(self, module, name):
        known = {
            ("pyflink.common.types", "_create_row"): lambda names, values, kind: (
                Row(**dict(zip(names, values, strict=True))) if names else Row(*values)
            ),
            ("pyflink.common.types", "RowKind"): lambda kind: kind,
        }
        return known[module, name]


def thread_mode_value(state, rows):
    """Thread mode keeps Java values; what Java has no type for is pickled."""
    serializer = rows[0].state.serializers[VALUE_SERIALIZER]

    def python(value):
        if isinstance(value, JavaRow):
            return Row(*value)
        return PyFlinkUnpickler(io.BytesIO(value)).load() if isinstance(value, bytes) else value

    if serializer.class_name == MAP:
        key_of, value_of = map(java_decoder, serializer.nested)
        values = {}
        for row in rows:
            key, end = key_of(row.user_key, 0)
            assert end == len(row.user_key)
            null = row.value[0]
            values[python(key)] = None if null else python(value_of(row.value, 1)[0])
        return values
    (row,) = rows
    if serializer.class_name == LIST:
        element = java_decoder(serializer.nested[0])
        values = []
        at = 0
        while at < len(row.value):
            value, at = element(row.value, at)
            values.append(python(value))
            assert at == len(row.value) or row.value[at : at + 1] == b","
            at += 1
        return values
    value, end = java_decoder(serializer)(row.value, 0)
    assert end == len(row.value)
    return python(value)


@pytest.fixture(scope="session")
def open_snapshot():
    return Snapshot


@pytest.fixture(scope="session")
def type_of():
    return declared_type


class Output:
    """A ByteOutput in memory."""

    def __init__(self):
        self.stream = io.BytesIO()

    def write(self, data):
        self.stream.write(data)

    @property
    def position(self):
        return self.stream.tell()


@pytest.fixture
def make_output():
    return Output
