"""Groups of equal keys in columns of whole numbers, and whether their sums stay within 64 bits."""

from __future__ import annotations

from typing import Any

__all__ = ("SUM_BOUND", "groups", "integers", "largest")

SUM_BOUND = 1 << 62
"""Two sums below it, added, fit 64 bits."""


def groups(keys: Any) -> tuple[Any, Any, Any]:
    """Return an order that brings equal keys together, where each begins in it, and the keys."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    first = np.empty(len(keys), dtype=bool)
    first[:1] = True
    np.not_equal(in_order[1:], in_order[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return order, starts, in_order[starts]


def largest(values: Any) -> int:
    """Return the largest absolute value of an array, 0 of none."""
    return max(-int(values.min()), int(values.max())) if len(values) else 0


def integers(values: list[Any]) -> Any:
    """Return whole numbers as an array; None if they are something else or too large."""
    import numpy as np

    if set(map(type, values)) - {int}:
        return None
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return None
