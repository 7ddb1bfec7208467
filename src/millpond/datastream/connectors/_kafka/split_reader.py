"""`PartitionReader`: the records of one partition, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors.source import Records, SplitReader
from millpond.errors import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.clock import Clock
    from millpond.common.serialization import DeserializationSchema
    from millpond.datastream.connectors._kafka.fetcher import Fetched, Fetcher

__all__ = ("PartitionReader",)

_PATIENCE_S: Final = 0.1
"""How long an unbounded source waits for a full batch where the broker seems to have more."""


@final
class PartitionReader(SplitReader):
    """Reads from an offset to before `stop`, or for ever.

    A batch is full unless the end of the partition is reached, so that a backlog is cut at the same
    records in every run. Messages without a value (tombstones), and those whose value the schema
    makes None of, come to no record.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        fetched: Fetched,
        schema: DeserializationSchema,
        start: int,
        stop: int | None,
        clock: Clock,
        on_close: Callable[[Fetched], None],
        *,
        bounded: bool,
    ) -> None:
        self._fetcher = fetcher
        self._fetched = fetched
        self._deserialize = schema.deserialize
        self._next = start
        self._stop = stop
        self._clock = clock
        self._on_close = on_close
        self._bounded = bounded
        self._finished = stop is not None and start >= stop
        self._waiting_since: float | None = None

    def read(self, limit: int) -> Records | None:
        if self._finished:
            return None
        fetched = self._fetched
        messages = fetched.messages
        if len(messages) < limit:
            self._fetcher.poll()
            if len(messages) < limit:
                self._fetcher.resume(fetched)
                if not self._may_be_short():
                    return None
        self._waiting_since = None
        values, timestamps = self._take(min(limit, len(messages)))
        stop = self._stop
        if stop is not None and (self._next >= stop or (not messages and fetched.end >= stop)):
            self._finished = True
        return Records(values, timestamps) if values else None

    def _take(self, count: int) -> tuple[list[Any], list[int]]:
        values: list[Any] = []
        timestamps: list[int] = []
        take, deserialize, stop = self._fetched.take, self._deserialize, self._stop
        for _ in range(count):
            message = take()
            offset = message.offset()
            if stop is not None and offset >= stop:
                # Offsets may be missing before it: those of aborted transactions are.
                self._next = stop
                break
            self._next = offset + 1
            data = message.value()
            if data is None:
                continue
            try:
                value = deserialize(data)
            except SerializationError as error:
                error.context.setdefault("topic", message.topic())
                error.context.setdefault("partition", message.partition())
                error.context.setdefault("offset", offset)
                raise
            if value is not None:
                values.append(value)
                timestamps.append(message.timestamp()[1])
        return values, timestamps

    def _may_be_short(self) -> bool:
        """Say whether fewer messages than wanted are all that is there now."""
        fetched = self._fetched
        messages = fetched.messages
        after = messages[-1].offset() + 1 if messages else self._next
        stop = self._stop
        if stop is not None and (after >= stop or fetched.end >= stop):
            return True
        if self._bounded:
            return False
        if not messages or fetched.end >= after:
            return True
        if after >= self._fetcher.high_watermark(fetched):
            return True
        now = self._clock.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        # What lies between may be marks of transactions, which never come as messages.
        return now - self._waiting_since >= _PATIENCE_S

    @property
    def finished(self) -> bool:
        return self._finished

    def position(self) -> Mapping[str, Any]:
        return {"next": self._next, "stop": self._stop}

    def close(self) -> None:
        self._on_close(self._fetched)
