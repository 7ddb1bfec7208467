"""`CollectedResults`: results for the client, each once however often attempts repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from millpond.runtime.job_listener import JobListener
    from millpond.runtime.message import Collected

__all__ = ("CollectedResults",)


@final
class CollectedResults:
    """Knows how many results of every collecting operator the listener has."""

    def __init__(self, listener: JobListener) -> None:
        self._listener = listener
        self._received: dict[str, int] = {}

    def receive(self, message: Collected) -> None:
        """Hand on what is new in it.

        A restarted attempt repeats what was on its way when the one before failed.
        """
        collect_id, end = message.collect_id, message.offset + len(message.values)
        received = self._received.get(collect_id, message.offset)
        self._received[collect_id] = max(received, end)
        if received < end:
            values = message.values[max(0, received - message.offset) :]
            self._listener.on_collected(collect_id, values)
