"""PyFlink's module of asynchronous functions in streams."""

from __future__ import annotations

from millpond.datastream.streams.asynchronous import AsyncDataStream

__all__ = ("AsyncDataStream",)
