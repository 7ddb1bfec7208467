"""Bounds of timestamps and other constants of PyFlink."""

from __future__ import annotations

__all__ = ("DEFAULT_OUTPUT_TAG", "MAX_LONG_VALUE", "MIN_LONG_VALUE")

MAX_LONG_VALUE = 2**63 - 1
"""The largest 64-bit integer: the watermark that says that no event will follow."""

MIN_LONG_VALUE = -(2**63)
"""The smallest 64-bit integer: the watermark before the first event."""

DEFAULT_OUTPUT_TAG = ""
"""The id of the main output."""
