import io

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.java_type import java_serializer_snapshot, key_serializer_snapshot
from millpond.formats.keyed_header import (
    KeyedHeader,
    read_keyed_header,
    read_keyed_header_from,
    write_keyed_header,
)
from millpond.formats.pyflink_serializers import (
    BYTES,
    LIST_OF_TTL_BYTES,
    LONG,
    NAMESPACES,
    basic_snapshot,
    broadcast_state_meta,
    keyed_state_meta,
    list_snapshot,
    map_snapshot,
    namespace_kind,
    operator_list_state_meta,
    row_snapshot,
    timer_service_of,
    timer_state_meta,
    timer_state_name,
    tuple_snapshot,
)
from millpond.formats.serializer_snapshot import (
    SerializerSnapshot,
    read_serializer_snapshot,
    read_wrapped_serializer_snapshot,
    write_serializer_snapshot,
    write_wrapped_serializer_snapshot,
)
from millpond.formats.state_meta import SIGNATURE, StateMetaKind

KEY = key_serializer_snapshot(Types.STRING())
HEADER = KeyedHeader(
    KEY,
    (
        keyed_state_meta("count", is_map=False, signature="VALUE<LONG>"),
        keyed_state_meta("scores", is_map=True, ttl=True),
        keyed_state_meta("window-contents", is_map=False, namespace="time-window"),
        timer_state_meta("user-timers", "event", KEY, "time-window"),
    ),
)


def written(snapshot):
    out = BufferWriter()
    write_serializer_snapshot(out, snapshot)
    return out.to_bytes()


@pytest.mark.parametrize("name", sorted(classes.SIMPLE_CLASSES))
def test_simple_snapshots_have_no_content(name):
    snapshot = SerializerSnapshot(name)
    assert read_serializer_snapshot(Buffer(written(snapshot))) == snapshot


@pytest.mark.parametrize(
    "snapshot",
    [
        KEY,
        tuple_snapshot(LONG, BYTES),
        list_snapshot(list_snapshot(LONG)),
        map_snapshot(BYTES, LIST_OF_TTL_BYTES),
        java_serializer_snapshot(Types.BASIC_ARRAY(Types.LONG())),
        java_serializer_snapshot(Types.BASIC_ARRAY(Types.STRING())),
        java_serializer_snapshot(Types.PRIMITIVE_ARRAY(Types.INT())),
        java_serializer_snapshot(Types.MAP(Types.STRING(), Types.LIST(Types.DOUBLE()))),
        java_serializer_snapshot(Types.ROW([Types.SQL_DATE(), Types.SQL_TIMESTAMP()])),
    ],
)
def test_composite_snapshots(snapshot):
    buffer = Buffer(written(snapshot))
    assert read_serializer_snapshot(buffer) == snapshot
    buffer.expect_end("the snapshot")


def test_snapshots_have_readable_names():
    assert str(KEY) == "RowSerializer(StringSerializer)"
    assert str(NAMESPACES["time-window"]) == "TimeWindowSerializer"


def test_old_simple_snapshots_repeat_the_class_name():
    out = BufferWriter()
    out.utf(classes.LONG)
    out.int32(2)
    out.utf("org.apache.flink.api.common.typeutils.base.LongSerializer")
    buffer = Buffer(out.to_bytes())
    assert read_serializer_snapshot(buffer) == LONG
    buffer.expect_end("the snapshot")


def test_unknown_composites_without_content_are_read():
    snapshot = SerializerSnapshot("com.example.PairSerializerSnapshot", (LONG, BYTES), 1)
    assert read_serializer_snapshot(Buffer(written(snapshot))) == snapshot


@pytest.mark.parametrize(
    "tail", [b"", b"\0\0\0\1", (911108).to_bytes(4, "big") + b"\0\0\0\1" + b"content!"]
)
def test_unknown_serializers_are_named(tail):
    data = written(SerializerSnapshot("com.example.PojoSerializerSnapshot")) + tail
    with pytest.raises(FormatError, match="PojoSerializerSnapshot"):
        read_serializer_snapshot(Buffer(data))


def test_nesting_is_bounded():
    snapshot = LONG
    for _ in range(100):
        snapshot = list_snapshot(snapshot)
    with pytest.raises(FormatError, match="too deeply"):
        read_serializer_snapshot(Buffer(written(snapshot)))


def test_wrapped_snapshots_start_with_a_version():
    out = BufferWriter()
    write_wrapped_serializer_snapshot(out, LONG)
    assert read_wrapped_serializer_snapshot(Buffer(out.to_bytes())) == LONG
    with pytest.raises(FormatError, match="Unknown version"):
        read_wrapped_serializer_snapshot(Buffer(b"\0\0\0\1" + out.to_bytes()[4:]))


def test_tuples_have_1_to_25_fields():
    assert len(tuple_snapshot(*[LONG] * 25).nested) == 25
    for fields in (0, 26):
        with pytest.raises(FormatError, match="1 to 25"):
            tuple_snapshot(*[LONG] * fields)


def test_every_key_type_has_a_serializer():
    names = {
        Types.STRING(): "StringSerializer",
        Types.INT(): "IntSerializer",
        Types.PICKLED_BYTE_ARRAY(): "BytePrimitiveArraySerializer",
        Types.INSTANT(): "InstantSerializer",
        Types.BIG_DEC(): "BigDecSerializer",
        Types.SQL_TIME(): "SqlTimeSerializer",
        Types.PRIMITIVE_ARRAY(Types.BYTE()): "BytePrimitiveArraySerializer",
        Types.TUPLE([Types.LONG()]): "TupleSerializer(LongSerializer)",
        Types.ROW([Types.LONG()]): "RowSerializer(LongSerializer)",
    }
    for key_type, name in names.items():
        assert str(key_serializer_snapshot(key_type)) == f"RowSerializer({name})"


def test_a_key_type_without_java_serializer_is_refused():
    with pytest.raises(FormatError, match="cannot be written"):
        java_serializer_snapshot(Types.OBJECT_ARRAY(Types.ROW([Types.LONG()])))


def test_a_header_comes_back():
    data = write_keyed_header(HEADER)
    assert read_keyed_header(Buffer(data)) == HEADER
    assert read_keyed_header_from(io.BytesIO(data + bytes(1000))) == (HEADER, len(data))
    assert HEADER.states[0].options[SIGNATURE] == "VALUE<LONG>"


def test_a_header_larger_than_the_first_piece_is_read():
    states = tuple(keyed_state_meta(f"{i:05}" * 20, is_map=True) for i in range(500))
    header = KeyedHeader(KEY, states, compressed=True)
    data = write_keyed_header(header)
    assert len(data) > 1 << 16
    assert read_keyed_header_from(io.BytesIO(data + bytes(100_000))) == (header, len(data))


@pytest.mark.parametrize("quarter", range(4))
def test_a_header_may_be_cut_anywhere_into_pieces(monkeypatch, quarter):
    data = write_keyed_header(HEADER) + b"body"
    expected = read_keyed_header_from(io.BytesIO(data))
    for piece in range(1 + quarter, len(data), 4):
        monkeypatch.setattr("millpond.formats.stream_reader._FIRST_PIECE", piece)
        assert read_keyed_header_from(io.BytesIO(data)) == expected


def test_a_damaged_header_does_not_read_the_whole_stream():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            self.count += size
            return super().read(size)

    data = write_keyed_header(HEADER)
    stream = Counting(b"\0\0\0\x07" + data[4:] + bytes(10 << 20))
    with pytest.raises(FormatError, match="Unknown version"):
        read_keyed_header_from(stream)
    assert stream.count <= 1 << 16


def test_every_truncation_of_a_header_is_a_named_error():
    data = write_keyed_header(HEADER)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read_keyed_header(Buffer(data[:size]))


def test_headers_that_cannot_be_read_are_named():
    data = write_keyed_header(HEADER)
    with pytest.raises(FormatError, match="Unknown version of a keyed"):
        read_keyed_header(Buffer(b"\0\0\0\5" + data[4:]))
    at = data.index(b"user-timers") + len("user-timers")
    with pytest.raises(FormatError, match="asynchronous"):
        read_keyed_header(Buffer(data[:at] + b"\0\0\0\4" + data[at + 4 :]))
    with pytest.raises(FormatError, match="Unknown kind of state"):
        read_keyed_header(Buffer(data[:at] + b"\0\0\0\x09" + data[at + 4 :]))
    twice = KeyedHeader(KEY, (HEADER.states[0], HEADER.states[0]))
    with pytest.raises(FormatError, match="same name"):
        read_keyed_header(Buffer(write_keyed_header(twice)))


def test_a_stream_holds_a_limited_number_of_states():
    with pytest.raises(FormatError, match="at most"):
        write_keyed_header(KeyedHeader(KEY, (HEADER.states[0],) * 40000))


def test_timer_states_are_recognised():
    assert timer_state_name("user-timers", "event") == "_timer_state/event_user-timers"
    assert timer_service_of("_timer_state/processing_user-timers") == ("user-timers", "processing")
    assert timer_service_of("_timer_state/other") is None
    assert timer_service_of("python-state-x") is None


def test_namespaces_have_kinds():
    for kind, snapshot in NAMESPACES.items():
        assert namespace_kind(snapshot) == kind
    streaming = SerializerSnapshot(classes.STREAMING_TIME_WINDOW)
    assert namespace_kind(streaming) == "time-window"
    with pytest.raises(FormatError, match="Unknown kind of namespace"):
        namespace_kind(basic_snapshot("String"))


def test_operator_states_have_modes():
    assert broadcast_state_meta("rules", "MAP").kind is StateMetaKind.BROADCAST
    assert broadcast_state_meta("rules").name == "python-state-rules"
    assert operator_list_state_meta("x").options == {
        "OPERATOR_STATE_DISTRIBUTION_MODE": "SPLIT_DISTRIBUTE"
    }
    union = operator_list_state_meta("x", union=True, signature="LIST<LONG>")
    assert union.options["OPERATOR_STATE_DISTRIBUTION_MODE"] == "UNION"
    assert union.options[SIGNATURE] == "LIST<LONG>"


def test_rows_of_old_flink_have_no_row_kind():
    old = SerializerSnapshot(classes.ROW, (LONG,), 3, b"")
    assert read_serializer_snapshot(Buffer(written(old))) == old
    assert read_serializer_snapshot(Buffer(written(row_snapshot(LONG)))).outer_content == b"\1"
