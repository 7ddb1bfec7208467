"""Modified UTF-8: how Java's DataOutput writes text."""

from __future__ import annotations

from millpond.errors import FormatError

__all__ = ("decode_modified_utf8", "encode_modified_utf8")


def encode_modified_utf8(text: str) -> bytes:
    """Return the bytes of `text`: NUL takes two bytes, characters above U+FFFF six.

    The two-byte length that `writeUTF` puts in front is not included (java.io.DataOutputStream).
    """
    if text.isascii():
        data = text.encode("ascii")
    else:
        units = text.encode("utf-16-be", "surrogatepass")
        # Every UTF-16 unit is encoded by itself, surrogates included.
        single = "".join(chr(units[i] << 8 | units[i + 1]) for i in range(0, len(units), 2))
        data = single.encode("utf-8", "surrogatepass")
    return data.replace(b"\0", b"\xc0\x80") if b"\0" in data else data


def decode_modified_utf8(data: bytes) -> str:
    """Return the text of modified UTF-8 bytes.

    Raises:
        FormatError: the bytes are not modified UTF-8.
    """
    if data.isascii() and b"\0" not in data:
        return data.decode("ascii")
    try:
        text = data.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise FormatError("The bytes are not modified UTF-8.", offset=error.start) from None
    if any(character > "\uffff" for character in text):
        raise FormatError("A four-byte sequence does not exist in modified UTF-8.", offset=0)
    text = text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")
    if encode_modified_utf8(text) != data:
        raise FormatError("Java does not write text in this way.", offset=0)
    return text
