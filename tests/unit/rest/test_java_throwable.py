"""Failures for Flink's own clients."""

from __future__ import annotations

import base64

from millpond.rest.java_throwable import serialized_throwable

# Flink 1.20.1 read it on Java: class a.B, message "a.B: full: ä", stack trace "a.B: full".
READ_BY_FLINK = (
    "rO0ABXNyAClvcmcuYXBhY2hlLmZsaW5rLnV0aWwuU2VyaWFsaXplZFRocm93YWJsZWUWnfUfpxPzAgACTAAZ"
    "ZnVsbFN0cmluZ2lmaWVkU3RhY2tUcmFjZXQAEkxqYXZhL2xhbmcvU3RyaW5nO0wAFm9yaWdpbmFsRXJyb3JD"
    "bGFzc05hbWV0ABJMamF2YS9sYW5nL1N0cmluZzt4cgATamF2YS5sYW5nLkV4Y2VwdGlvbtD9Hz4aOxzEAgAA"
    "eHIAE2phdmEubGFuZy5UaHJvd2FibGXVxjUnOXe4ywMAAUwADWRldGFpbE1lc3NhZ2V0ABJMamF2YS9sYW5n"
    "L1N0cmluZzt4cHQADWEuQjogZnVsbDogw6R4dAAJYS5COiBmdWxsdAADYS5C"
)


def test_the_bytes_that_flink_has_read():
    assert serialized_throwable("a.B", "full: ä", "a.B: full") == READ_BY_FLINK


def test_long_texts_are_cut():
    # Java's strings of this kind have a length of 16 bits, and six bytes a character at most.
    data = base64.b64decode(serialized_throwable("a.B", "🌊" * 20_000, "x" * 70_000))
    assert data.endswith(b"x" * 10_000 + b"t\x00\x03a.B")
    assert not data.endswith(b"x" * 10_001 + b"t\x00\x03a.B")
