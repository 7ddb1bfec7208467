"""`ColumnarSums`: the rolling sum of a field over columns, with the sums of many keys in arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.columnar_groups import SUM_BOUND, groups, integers, largest

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ("ColumnarSums",)

_HELD_KEYS = 1 << 17


@final
class ColumnarSums:
    """Adds a field up, key by key, and gives every record its key's sum so far.

    The sums of the keys that came lately are held in arrays. `write_back` puts them into the keyed
    state: before every snapshot, before anybody else uses the state, and when they are too many.
    Only whole numbers within 64 bits are added here: sums of floats depend on their order.
    """

    def __init__(self, position: int, write_first: Callable[[Any, Any], None]) -> None:
        """`write_first` stores the first record of a key, and so checks its type."""
        self._position = position
        self._write_first = write_first
        self._clear()

    def _clear(self) -> None:
        self._keys: Any = None  # ascending
        self._sums: Any = None
        self._others: list[Any] = []  # the other fields of each key's first record, as objects
        self._changed: Any = None
        self._bound = 0

    def add(self, batch: ColumnarBatch, entries: MutableMapping[Any, Any]) -> ColumnarBatch | None:
        """Return the records with the sums; None, and nothing is done, if it must not be here."""
        import numpy as np

        position, columns = self._position, batch.columns
        if not batch.integers([position]):
            return None
        assert batch.key_position is not None
        added = columns[position].astype(np.int64, copy=False)
        growth = largest(added) * len(batch)
        if self._bound + growth >= SUM_BOUND:
            self.write_back(entries)
            if growth >= SUM_BOUND:
                return None
        order, starts, unique = groups(columns[batch.key_position])
        places = self._places(batch, order[starts], unique, entries, growth)
        if places is None:
            return None
        self._bound += growth
        added = added[order]
        counts = np.diff(starts, append=len(batch))
        running = np.cumsum(added)
        running += np.repeat(self._sums[places] - running[starts] + added[starts], counts)
        self._sums[places] = running[starts + counts - 1]
        self._changed[places] = True
        places = np.repeat(places, counts)
        results = []
        for index, column in enumerate(columns):
            if index == batch.key_position != position:
                results.append(column)
                continue
            of_key = running if index == position else self._others[index][places]
            result = np.empty(len(batch), dtype=of_key.dtype)
            result[order] = of_key
            results.append(result)
        return ColumnarBatch(results, batch.times)

    def write_back(self, entries: MutableMapping[Any, Any]) -> None:
        """Put what changed into the state; nothing is held afterwards."""
        if self._keys is not None:
            changed = self._changed
            fields = [None if other is None else other[changed] for other in self._others]
            fields[self._position] = self._sums[changed].tolist()
            rows = zip(*fields, strict=True)
            entries.update(zip(self._keys[changed].tolist(), rows, strict=True))
        self._clear()

    def _places(
        self,
        batch: ColumnarBatch,
        firsts: Any,
        unique: Any,
        entries: MutableMapping[Any, Any],
        growth: int,
    ) -> Any:
        """Return where the keys are held, after reading those that are not yet; None: give up."""
        import numpy as np

        if self._keys is None:
            missing = np.ones(len(unique), dtype=bool)
        else:
            places = np.searchsorted(self._keys, unique)
            missing = self._keys[np.minimum(places, len(self._keys) - 1)] != unique
            if not missing.any():
                return places
            if len(self._keys) + int(missing.sum()) > _HELD_KEYS:
                self.write_back(entries)
                missing[:] = True
        if not self._read(batch, firsts[missing], unique[missing], entries, growth):
            self.write_back(entries)
            return None
        return np.searchsorted(self._keys, unique)

    def _read(
        self,
        batch: ColumnarBatch,
        firsts: Any,
        keys: Any,
        entries: MutableMapping[Any, Any],
        growth: int,
    ) -> bool:
        """Hold keys with what the state has of them; False, and nothing is done, if that is odd."""
        import numpy as np

        listed = keys.tolist()
        rows: list[Any] = list(map(entries.get, listed))
        width, position = len(batch.columns), self._position
        known = [row for row in rows if row is not None]
        if set(map(type, known)) - {tuple} or set(map(len, known)) - {width}:
            return False
        known_sums = integers([row[position] for row in known])
        if known_sums is None:
            return False
        bound = max(self._bound, largest(known_sums))
        if bound + growth >= SUM_BOUND:
            return False
        self._bound = bound
        if len(known) < len(rows):
            records = list(zip(*[c[firsts].tolist() for c in batch.columns], strict=True))
            for index, row in enumerate(rows):
                if row is None:
                    self._write_first(listed[index], records[index])
                    rows[index] = (*records[index][:position], 0, *records[index][position + 1 :])
        sums = np.array([row[position] for row in rows], dtype=np.int64)
        others: list[Any] = [
            None if index == position else _objects([row[index] for row in rows])
            for index in range(width)
        ]
        changed = np.zeros(len(keys), dtype=bool)
        if self._keys is None:
            self._keys, self._sums, self._changed = keys.astype(np.int64), sums, changed
            self._others = others
            return True
        at = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, at, keys)
        self._sums = np.insert(self._sums, at, sums)
        self._changed = np.insert(self._changed, at, changed)
        self._others = [
            None if held is None else np.insert(held, at, other)
            for held, other in zip(self._others, others, strict=True)
        ]
        return True


def _objects(values: list[Any]) -> Any:
    # Not numbers: a field of a key's first record may have another type or width than now.
    import numpy as np

    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
