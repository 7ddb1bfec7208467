"""`ColumnarBatch`: a batch whose records are columns until somebody asks for them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("ColumnarBatch",)


@final
class ColumnarBatch(Batch):
    """Records as numpy arrays of one length, a field each.

    Operators that know columns work on those. For all others it is an ordinary batch: `values`,
    `keys` and `timestamps` are made of the arrays, as Python's own objects, when they are first
    read.

    Attributes:
        columns: the fields.
        times: event times in ms, or None.
        key_position: which field is the key, on the way to a keyed operator; else None.
    """

    __slots__ = ("columns", "key_position", "times")

    def __init__(
        self, columns: Sequence[Any], times: Any = None, key_position: int | None = None
    ) -> None:
        # Not the slots of Batch: `__getattr__` fills them.
        self.columns = tuple(columns)
        self.times = times
        self.key_position = key_position

    def __getattr__(self, name: str) -> Any:
        if name == "values":
            self.values = list(zip(*[column.tolist() for column in self.columns], strict=True))
            return self.values
        if name == "keys":
            position = self.key_position
            self.keys = None if position is None else self.columns[position].tolist()
            return self.keys
        if name == "timestamps":
            self.timestamps = None if self.times is None else self.times.tolist()
            return self.timestamps
        if name == "_time_range":
            self._time_range = self._find_time_range()
            return self._time_range
        raise AttributeError(name)

    def keyed_by(self, position: int) -> ColumnarBatch:
        """Return the same records with a field as their key."""
        return ColumnarBatch(self.columns, self.times, position)

    def _find_time_range(self) -> tuple[int, int] | None:
        if self.times is None or not len(self):
            return None
        return int(self.times.min()), int(self.times.max())

    def integers(self, positions: Sequence[int]) -> bool:
        """Return whether the key and these fields are whole numbers of at most 64 bits."""
        if self.key_position is None or max(positions, default=0) >= len(self.columns):
            return False
        checked = (self.key_position, *positions)
        return all(self.columns[position].dtype.kind == "i" for position in checked)

    def __len__(self) -> int:
        return len(self.columns[0])
