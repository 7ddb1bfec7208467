"""`Operations`: what takes longer than a request, by the trigger id that its caller polls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from millpond.errors import MillpondError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.clock import Clock

__all__ = ("Key", "Operation", "Operations", "TooManyOperationsError")

_KEPT_SECONDS = 300.0
_KEPT = 300
_AT_ONCE = 32

Key = tuple[str, str, str]
"""Kind of operation, job id or nothing, trigger id."""


class TooManyOperationsError(MillpondError):
    """So many operations go on that no other is begun."""


@final
@dataclass(slots=True)
class Operation:
    """One of them; `ended_at` is None while it goes on."""

    result: Any = None
    failure: BaseException | None = None
    ended_at: float | None = None
    done: threading.Event = field(default_factory=threading.Event)


@final
class Operations:
    """Runs each in a thread of its own; those that ended are kept 5 minutes, and 300 of them.

    From any thread. Flink's CompletedOperationCache.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._operations: OrderedDict[Key, Operation] = OrderedDict()

    def begin(self, key: Key, work: Callable[[], Any]) -> None:
        """Begin one, unless there is one with this key already: a repeated request changes nothing.

        Raises:
            TooManyOperationsError: 32 go on already.
        """
        with self._lock:
            self._forget()
            if key in self._operations:
                return
            if sum(not each.done.is_set() for each in self._operations.values()) >= _AT_ONCE:
                raise TooManyOperationsError("Too many operations go on; try again later.")
            operation = self._operations[key] = Operation()
        threading.Thread(
            target=self._run, args=(operation, work), name=f"millpond-{key[0]}", daemon=True
        ).start()

    def find(self, key: Key) -> Operation | None:
        """Return an operation; None: there was none with this key, or it is forgotten."""
        with self._lock:
            self._forget()
            return self._operations.get(key)

    def _run(self, operation: Operation, work: Callable[[], Any]) -> None:
        try:
            operation.result = work()
        except BaseException as error:  # noqa: BLE001 - whoever polls is told
            operation.failure = error
        operation.ended_at = self._clock.monotonic()
        operation.done.set()

    def _forget(self) -> None:
        now = self._clock.monotonic()
        over = [key for key, each in self._operations.items() if each.done.is_set()]
        for number, key in enumerate(over):
            ended_at = self._operations[key].ended_at
            assert ended_at is not None
            if now - ended_at > _KEPT_SECONDS or number < len(over) - _KEPT:
                del self._operations[key]
