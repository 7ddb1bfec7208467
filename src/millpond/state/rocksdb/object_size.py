"""`object_bytes`: about how much memory a value takes, for budgets of decoded objects."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final

__all__ = ("object_bytes",)

_LOOKED_AT: Final = 32
_DEEPEST: Final = 6
_ALIGNMENT: Final = 16


def object_bytes(value: Any, depth: int = 0) -> int:
    """Return the bytes of an object and of what it holds, rounded up as the allocator does.

    Of a long container some elements are looked at and stand for all. O(1) for flat values.
    """
    size = (sys.getsizeof(value) + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
    if isinstance(value, (str, bytes, int, float, bool, bytearray)) or depth == _DEEPEST:
        return size
    if isinstance(value, Mapping):
        pairs = list(islice(value.items(), _LOOKED_AT))
        return size + _of_all([part for pair in pairs for part in pair], 2 * len(value), depth)
    if isinstance(value, (Sequence, AbstractSet)):
        return size + _of_all(list(islice(value, _LOOKED_AT)), len(value), depth)
    attributes = getattr(value, "__dict__", None)
    return size if attributes is None else size + object_bytes(attributes, depth + 1)


def _of_all(seen: list[Any], count: int, depth: int) -> int:
    if not seen:
        return 0
    return sum(object_bytes(part, depth + 1) for part in seen) * count // len(seen)
