"""Sources and sinks, and the contracts that further ones implement."""

from __future__ import annotations

from millpond.datastream.connectors.base import DeliveryGuarantee, Sink, Source

__all__ = ("DeliveryGuarantee", "Sink", "Source")
