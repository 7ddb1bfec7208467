"""`LongValue`: a value that is written and read in pieces, since it is too long for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("LONG_VALUE_BYTES", "LongValue", "whole_value")

LONG_VALUE_BYTES: Final = 1 << 20
"""A value of at least so many bytes may be a `LongValue`, a shorter one may not."""


@final
class LongValue:
    """Stands for the bytes of a value where entries of a canonical stream are written or read.

    `pieces` makes an iterator over the bytes, `len()` of them in all. A value that is written is
    asked for them once, soon; one that was read must be used before the next entry is asked for.
    """

    __slots__ = ("_length", "pieces")

    def __init__(self, length: int, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._length = length
        self.pieces = pieces

    def __len__(self) -> int:
        return self._length


def whole_value(value: bytes | LongValue) -> bytes:
    """Return the bytes of a value, a long one's too."""
    return b"".join(value.pieces()) if isinstance(value, LongValue) else value
