"""`LedgerSink`: a two-phase sink into this process's memory, which shows what came out exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final
from weakref import WeakValueDictionary

from millpond.datastream.connectors.sink import Committable, Sink, SinkWriter, SinkWriterContext
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("Ledger", "LedgerSink")

_ledgers: WeakValueDictionary[int, Ledger] = WeakValueDictionary()


@final
class Ledger:
    """The outside world: transactions that were prepared, and those that were committed.

    It outlives the job, as a database would. A pickled ledger is the ledger itself, in the same
    process; elsewhere it cannot be read back.

    Args:
        step: is told about every durable step by name before and after it; may raise.
    """

    def __init__(self, step: Callable[[str, str], object] | None = None) -> None:
        self._step = step or (lambda name, transaction: None)
        self._prepared: dict[str, list[Any]] = {}
        self._committed: list[str] = []
        self._number = 0
        _ledgers[id(self)] = self

    def __reduce__(self) -> tuple[object, ...]:
        return _ledger, (id(self),)

    @property
    def committed(self) -> list[Any]:
        """All that is visible, in the order of commits."""
        return [value for transaction in self._committed for value in self._prepared[transaction]]

    @property
    def transactions(self) -> int:
        """How many transactions were committed."""
        return len(self._committed)

    def prepare(self, values: Sequence[Any]) -> str:
        """Make values durable, but not visible; return the transaction's name."""
        self._number += 1
        transaction = f"transaction {self._number}"
        self._step("prepare", transaction)
        self._prepared[transaction] = list(values)
        self._step("prepared", transaction)
        return transaction

    def commit(self, transaction: str) -> None:
        """Make a transaction visible; once more changes nothing.

        Raises:
            ConnectorError: nobody prepared it.
        """
        if transaction not in self._prepared:
            raise ConnectorError("Nobody prepared this transaction.", transaction=transaction)
        self._step("commit", transaction)
        if transaction not in self._committed:
            self._committed.append(transaction)
        self._step("committed", transaction)


def _ledger(number: int) -> Ledger:
    return _ledgers[number]


@final
class LedgerSink(Sink):
    """Writes to a ledger exactly once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create_writer(self, context: SinkWriterContext, restored: Sequence[Any]) -> SinkWriter:
        """Make a writer that begins a transaction with each checkpoint."""
        return _Writer(self._ledger)

    def commit(self, committables: Sequence[Committable]) -> None:
        """Commit transactions in order."""
        for transaction in committables:
            self._ledger.commit(transaction)


@final
class _Writer(SinkWriter):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._values: list[Any] = []

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        self._values.extend(values)

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        values, self._values = self._values, []
        return [self._ledger.prepare(values)] if values else []
