"""PyFlink's module path for what connectors have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING

from millpond.datastream.connectors.sink import Sink
from millpond.datastream.connectors.source import Source

if TYPE_CHECKING:
    from millpond.datastream.data_stream import DataStream

__all__ = (
    "DeliveryGuarantee",
    "Sink",
    "Source",
    "StreamTransformer",
    "SupportsPreprocessing",
)


class DeliveryGuarantee(StrEnum):
    """How often a record reaches the outside world when the job crashes and recovers."""

    EXACTLY_ONCE = "exactly-once"
    AT_LEAST_ONCE = "at-least-once"
    NONE = "none"


class StreamTransformer(ABC):
    """Changes a stream before it enters a sink."""

    @abstractmethod
    def apply(self, ds: DataStream) -> DataStream:
        """Return the stream that the sink gets instead of `ds`."""


class SupportsPreprocessing(ABC):
    """A sink that wants its input changed first."""

    @abstractmethod
    def get_transformer(self) -> StreamTransformer | None:
        """Return what is applied to the stream before the sink, or None."""
