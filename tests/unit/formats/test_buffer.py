import pytest

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.modified_utf8 import decode_modified_utf8, encode_modified_utf8


def test_every_kind_of_value_comes_back():
    out = BufferWriter()
    out.uint8(200)
    out.int16(-2)
    out.uint16(65535)
    out.int32(-3)
    out.int64(1 << 40)
    out.int64_array((1, -1))
    out.raw(b"xy")
    out.sized_bytes(b"abc")
    out.utf("grüße \0 😀")
    buffer = Buffer(out.to_bytes())
    assert buffer.uint8() == 200
    assert buffer.int16() == -2
    assert buffer.uint16() == 65535
    assert buffer.int32() == -3
    assert buffer.int64() == 1 << 40
    assert buffer.int64_array(2) == (1, -1)
    assert buffer.take(2) == b"xy"
    assert buffer.sized_bytes() == b"abc"
    assert buffer.utf() == "grüße \0 😀"
    buffer.expect_end("all")


@pytest.mark.parametrize(
    "read",
    [
        lambda b: b.int64(),
        lambda b: b.take(8),
        lambda b: b.take(-1),
        lambda b: b.int64_array(1 << 40),
        lambda b: b.int64_array(-1),
        lambda b: b.sized_bytes(),
        lambda b: b.utf(),
    ],
)
def test_reading_past_the_end_names_the_offset(read):
    buffer = Buffer(b"\x7f\xff\xff\xff", origin=100)
    with pytest.raises(FormatError) as error:
        read(buffer)
    assert error.value.context["offset"] >= 100
    assert buffer.offset <= 4


def test_counts_that_cannot_be_true_are_refused_before_allocating():
    with pytest.raises(FormatError, match="Impossible number of things"):
        Buffer((1 << 30).to_bytes(4, "big") + bytes(100)).count("things", 8)
    with pytest.raises(FormatError, match="Impossible number"):
        Buffer(b"\xff\xff\xff\xff").count("things")
    assert Buffer(b"\x00\x02\x01\x01").count("things", int16=True) == 2


def test_booleans_are_zero_or_one():
    assert Buffer(b"\1").boolean()
    with pytest.raises(FormatError, match="neither 0 nor 1"):
        Buffer(b"\2").boolean("a flag")


def test_bytes_that_are_left_are_an_error():
    with pytest.raises(FormatError, match="left after the thing"):
        Buffer(b"ab").expect_end("the thing")


def test_a_text_field_holds_65535_bytes():
    out = BufferWriter()
    out.utf("x" * 65535)
    with pytest.raises(FormatError, match="65535"):
        out.utf("ü" * 40000)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("abc", b"abc"),
        ("\0", b"\xc0\x80"),
        ("é", b"\xc3\xa9"),
        ("😀", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("a\ud800", b"a\xed\xa0\x80"),
    ],
)
def test_modified_utf8(text, data):
    assert encode_modified_utf8(text) == data
    assert decode_modified_utf8(data) == text


@pytest.mark.parametrize("data", [b"\xff", b"\xc3", "😀".encode()])
def test_other_bytes_are_no_modified_utf8(data):
    with pytest.raises(FormatError):
        decode_modified_utf8(data)
    with pytest.raises(FormatError, match="not modified UTF-8"):
        Buffer(b"\0" + bytes([len(data)]) + data).utf("a name")
