"""`ExternalSort`: puts more records in order than fit into memory."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, final

from millpond.errors import StateStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ("ExternalSort", "SortedRecord")

SortedRecord = tuple[bytes, int, int, int, Any, Any]
"""(bytes of the key, timestamp, number, input index, key, value); the first three are unique."""

_CHUNK = 512
_SAMPLE_EVERY = 64
_OVERHEAD_BYTES = 400
_OBJECTS_PER_PICKLED_BYTE = 3
_MAX_RUNS = 64


@final
class ExternalSort:
    """Collects records and gives them back in the order of key, timestamp and arrival.

    What exceeds the memory is written to a file as a sorted run; the runs are merged while they
    are read. The size of records is estimated from every 64th one. Files have no name, so that
    nothing is left of them when the process dies.

    Cost: O(n log n) comparisons of bytes; each record is written and read once for every factor
    of 64 by which the input exceeds the memory.
    """

    def __init__(self, memory_bytes: int, directory: Path) -> None:
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._records: list[SortedRecord] = []
        self._runs: list[IO[bytes]] = []
        self._number = 0
        self._sampled = 0
        self._sampled_bytes = 0

    def add(
        self,
        keys: Sequence[tuple[bytes, Any]],
        values: Sequence[Any],
        timestamps: Sequence[int],
        input_index: int,
    ) -> None:
        """Add records with their keys' bytes and keys.

        Raises:
            StateStoreError: a run could not be written.
        """
        number = self._number
        self._records.extend(
            (encoded, timestamp, number + index, input_index, key, value)
            for index, ((encoded, key), value, timestamp) in enumerate(
                zip(keys, values, timestamps, strict=True)
            )
        )
        self._number += len(values)
        for value in values[-number % _SAMPLE_EVERY :: _SAMPLE_EVERY]:
            self._sampled += 1
            self._sampled_bytes += len(_dumps(value))
        if len(self._records) * self._record_bytes() > self._memory_bytes:
            self._spill()

    @property
    def runs(self) -> int:
        """How many runs were written to files and not yet merged."""
        return len(self._runs)

    def __iter__(self) -> Iterator[SortedRecord]:
        """Iterate over everything, once; nothing may be added any more."""
        self._records.sort()
        last, self._records = self._records, []
        if not self._runs:
            return iter(last)
        while len(self._runs) > _MAX_RUNS:
            merged = [self._read(run) for run in self._runs[:_MAX_RUNS]]
            self._runs = [*self._runs[_MAX_RUNS:], self._write(heapq.merge(*merged))]
        return heapq.merge(*(self._read(run) for run in self._runs), last)

    def close(self) -> None:
        """Give memory and files back; may be called twice."""
        self._records = []
        for run in self._runs:
            run.close()
        self._runs = []

    def _record_bytes(self) -> int:
        average = self._sampled_bytes // max(1, self._sampled)
        return _OVERHEAD_BYTES + _OBJECTS_PER_PICKLED_BYTE * average

    def _spill(self) -> None:
        self._records.sort()
        self._runs.append(self._write(iter(self._records)))
        self._records = []

    def _write(self, records: Iterator[SortedRecord]) -> IO[bytes]:
        try:
            run = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - read later
            while chunk := list(islice(records, _CHUNK)):
                run.write(_dumps(chunk))
            run.seek(0)
        except OSError as error:
            raise StateStoreError(
                f"Sorted records could not be written: {error.strerror}.", path=self._directory
            ) from error
        return run

    @staticmethod
    def _read(run: IO[bytes]) -> Iterator[SortedRecord]:
        with run:
            while True:
                try:
                    chunk = pickle.load(run)
                except EOFError:
                    return
                yield from chunk


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        # Classes of the user's main module, in a worker process; loading gives the same class.
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data
