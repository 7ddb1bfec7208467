"""`ColumnarWindows`: built-in aggregations of tumbling windows over columns."""

from __future__ import annotations

from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.window import TimeWindow
from millpond.operators.columnar_groups import SUM_BOUND, groups, integers, largest

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from millpond.datastream.aggregations import Aggregation
    from millpond.operators.columnar_batch import ColumnarBatch

__all__ = ("ColumnarWindows",)

_GROUPED_ROWS = 1 << 17
_HELD_KEYS = 1 << 18

_Part = tuple[Any, list[Any]]
"""Keys, and for each of them the figures of one or more records."""


@final
class ColumnarWindows:
    """Holds what came for each window since the last `write_back`, and groups it late.

    What is held is added to the keyed state before every snapshot and whenever somebody else needs
    the state. A window of which the state knows nothing is never put there: when it ends, its
    figures are those that are held. Only whole numbers within 64 bits are aggregated here.
    """

    def __init__(self, aggregations: Sequence[Aggregation], size_ms: int, offset_ms: int) -> None:
        self._aggregations = aggregations
        self._positions = [each.position for each in aggregations if each.position is not None]
        self._size_ms = size_ms
        self._offset_ms = offset_ms
        self._parts: dict[int, list[_Part]] = {}
        self._rows: dict[int, int] = {}
        self._bound = 0

    def add(self, batch: ColumnarBatch) -> bool:
        """Take the records of a batch; False, and nothing is taken, if they must not be here."""
        import numpy as np

        if not batch.integers(self._positions) or batch.times.dtype.kind != "i":
            return False
        growth = sum(largest(batch.columns[position]) for position in self._positions) * len(batch)
        if self._bound + growth + len(batch) >= SUM_BOUND:
            return False
        self._bound += growth + len(batch)
        assert batch.key_position is not None
        starts = batch.times - (batch.times - self._offset_ms) % self._size_ms
        keys = batch.columns[batch.key_position].astype(np.int64, copy=False)
        figures = [
            np.ones(len(batch), dtype=np.int64)
            if each.position is None
            else batch.columns[each.position].astype(np.int64, copy=False)
            for each in self._aggregations
        ]
        first, last = int(starts.min()), int(starts.max())
        if first == last:
            self._hold(first, (keys, figures))
            return True
        for start in np.unique(starts).tolist():
            chosen = starts == start
            self._hold(start, (keys[chosen], [figure[chosen] for figure in figures]))
        return True

    @property
    def is_full(self) -> bool:
        """Whether so much is held that it should go into the state."""
        return sum(self._rows.values()) > _HELD_KEYS

    def due(self, watermark: int) -> Iterator[tuple[TimeWindow, Any, list[Any]]]:
        """Yield and forget the windows that end by a watermark: keys, ascending, and figures."""
        for start in sorted(self._parts):
            window = TimeWindow(start, start + self._size_ms)
            if window.max_timestamp() > watermark:
                return
            keys, figures = self._grouped(self._parts.pop(start))
            del self._rows[start]
            yield window, keys, figures
        self._bound = 0

    def write_back(
        self, entries: MutableMapping[Any, Any]
    ) -> Iterator[tuple[TimeWindow, Sequence[Any]]]:
        """Add what is held to the state; yield each window with its keys, which need timers."""
        for start in sorted(self._parts):
            window = TimeWindow(start, start + self._size_ms)
            keys, figures = self._grouped(self._parts[start])
            listed = keys.tolist()
            panes = list(zip(listed, repeat(window)))
            befores = list(map(entries.get, panes))
            rows = self._combined(befores, figures)
            entries.update(zip(panes, rows, strict=True))
            yield window, listed
        self._parts.clear()
        self._rows.clear()
        self._bound = 0

    def _hold(self, start: int, part: _Part) -> None:
        parts = self._parts.setdefault(start, [])
        parts.append(part)
        self._rows[start] = self._rows.get(start, 0) + len(part[0])
        # What stays after grouping counts less each time, or a full window would group for ever.
        if self._rows[start] > max(_GROUPED_ROWS, 2 * len(parts[0][0])):
            parts[:] = [self._grouped(parts)]
            self._rows[start] = len(parts[0][0])

    def _grouped(self, parts: list[_Part]) -> _Part:
        import numpy as np

        keys = np.concatenate([part[0] for part in parts])
        order, starts, unique = groups(keys)
        figures = []
        for index, each in enumerate(self._aggregations):
            column = np.concatenate([part[1][index] for part in parts])[order]
            figures.append(_combination(each).reduceat(column, starts))
        return unique, figures

    def _combined(self, befores: list[Any], figures: list[Any]) -> list[Any]:
        rows: list[Any] = list(zip(*[figure.tolist() for figure in figures], strict=True))
        known = [index for index, before in enumerate(befores) if before is not None]
        if not known:
            return rows
        stored = [befores[index] for index in known]
        columns = [integers(list(map(itemgetter(i), stored))) for i in range(len(figures))]
        if any(column is None or largest(column) >= SUM_BOUND for column in columns):
            for index in known:
                rows[index] = tuple(
                    each.combine(before, now)
                    for each, before, now in zip(
                        self._aggregations, befores[index], rows[index], strict=True
                    )
                )
            return rows
        united = [
            _combination(each)(column, figure[known]).tolist()
            for each, column, figure in zip(self._aggregations, columns, figures, strict=True)
        ]
        for index, row in zip(known, zip(*united, strict=True), strict=True):
            rows[index] = row
        return rows


def _combination(each: Aggregation) -> Any:
    import numpy as np

    return {"min": np.minimum, "max": np.maximum}.get(each.kind, np.add)
