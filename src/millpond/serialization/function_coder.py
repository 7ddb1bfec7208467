"""`FunctionCoder`: a coder made of two functions, so that a call costs no method lookup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from millpond.serialization.coder import Coder

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation

__all__ = ("Decode", "Encode", "FunctionCoder")

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, int], tuple[Any, int]]


@final
class FunctionCoder(Coder):
    """A coder whose `encode` and `decode_from` are plain functions.

    Attributes:
        type_info: the declared type.
        struct_code: the code of a number's fixed encoding in Python's `struct`, else None.
        struct_codes: the codes of values that are always equally long, big-endian: of a number,
            of True and False, or of the fields of a tuple of those; else empty.
        minimum_size_bytes: no encoding is shorter.
        schema_text: the fields of a record class, else None.
    """

    __slots__ = (
        "decode_from",
        "encode",
        "immutable",
        "minimum_size_bytes",
        "normalize",
        "pickled",
        "schema_text",
        "signature",
        "struct_code",
        "struct_codes",
        "type_info",
    )

    # Attributes in place of methods: a call then needs neither look-up nor binding.
    encode: Encode  # type: ignore[assignment]
    decode_from: Decode  # type: ignore[assignment]
    normalize: Callable[[Any], Any]  # type: ignore[assignment]

    def __init__(
        self,
        type_info: TypeInformation,
        encode: Encode,
        decode_from: Decode,
        *,
        minimum_size_bytes: int,
        immutable: bool = False,
        pickled: bool = False,
        struct_code: str | None = None,
        struct_codes: str = "",
        schema: str | None = None,
        normalize: Callable[[Any], Any] | None = None,
    ) -> None:
        self.type_info = type_info
        self.signature = type_info.signature
        self.encode = encode
        self.decode_from = decode_from
        self.normalize = normalize or (lambda value: decode_from(encode(value), 0)[0])
        self.minimum_size_bytes = minimum_size_bytes
        self.immutable = immutable
        self.pickled = pickled
        self.struct_code = struct_code
        self.struct_codes = struct_code or struct_codes
        self.schema_text = schema

    def schema(self) -> str:
        """Return the fields of a record class, else the signature."""
        return self.signature if self.schema_text is None else self.schema_text

    def __reduce__(self) -> tuple[Any, ...]:
        # The functions cannot be pickled; they are made again from the type.
        from millpond.serialization.coders import coder_for

        return coder_for, (self.type_info,)

    def __repr__(self) -> str:
        return f"<coder of {self.signature}>"
