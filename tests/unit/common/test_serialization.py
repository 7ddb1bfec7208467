"""Schemas, encoders and the void namespace."""

from __future__ import annotations

import io

import pytest

from millpond.common import (
    ByteArraySchema,
    Encoder,
    Row,
    RowFieldExtractorSchema,
    SimpleStringSchema,
    Types,
    VoidNamespaceSerializer,
)
from millpond.errors import SerializationError


def test_strings():
    schema = SimpleStringSchema()
    assert schema.deserialize(schema.serialize("grüße")) == "grüße"
    assert SimpleStringSchema("latin-1").serialize("ü") == b"\xfc"
    assert schema.get_produced_type() == Types.STRING()
    assert not schema.is_end_of_stream("x")
    with pytest.raises(SerializationError, match="UTF-8"):
        schema.deserialize(b"\xff")
    with pytest.raises(SerializationError, match="latin-1"):
        SimpleStringSchema("latin-1").serialize("世")
    with pytest.raises(SerializationError, match="str"):
        schema.serialize(5)
    with pytest.raises(LookupError):
        SimpleStringSchema("no-such-charset")


def test_bytes():
    schema = ByteArraySchema()
    assert schema.serialize(bytearray(b"a")) == schema.deserialize(b"a") == b"a"
    assert schema.get_produced_type() == Types.PRIMITIVE_ARRAY(Types.BYTE())
    with pytest.raises(SerializationError, match="bytes"):
        schema.serialize("a")


def test_row_field():
    schema = RowFieldExtractorSchema(1)
    assert schema.serialize(Row("x", b"key")) == b"key"
    assert schema.serialize(Row("x", None)) == b""
    for wrong in (Row("x"), Row("x", "key"), ("x", b"key")):
        with pytest.raises(SerializationError):
            schema.serialize(wrong)
    with pytest.raises(ValueError, match="negative"):
        RowFieldExtractorSchema(-1)


def test_encoder_writes_lines():
    stream = io.BytesIO()
    encoder = Encoder.simple_string_encoder()
    encoder.encode("ü", stream)
    encoder.encode(5, stream)
    assert stream.getvalue() == "ü\n5\n".encode()
    with pytest.raises(LookupError):
        Encoder.simple_string_encoder("no-such-charset")


def test_void_namespace_is_a_zero_byte():
    stream = io.BytesIO()
    VoidNamespaceSerializer().serialize(b"", stream)
    assert stream.getvalue() == b"\x00"
    assert VoidNamespaceSerializer().deserialize(io.BytesIO(b"\x00rest")) == b"\x00"
