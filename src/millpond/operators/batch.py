"""`Batch`: the unit of work that tasks and operators hand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("MAX_WATERMARK", "MIN_WATERMARK", "Batch", "BatchResources")

MIN_WATERMARK = -(1 << 63)
MAX_WATERMARK = (1 << 63) - 1


class Batch:
    """Records in order. Nobody changes its lists once it is emitted: others may hold them.

    Attributes:
        values: the records.
        timestamps: event times in ms, one a record, or None when there are none.
        keys: the records' keys, one a record, on the way to a keyed operator; else None.
    """

    __slots__ = ("_time_range", "keys", "timestamps", "values")

    def __init__(
        self,
        values: list[Any],
        timestamps: list[int] | None = None,
        keys: list[Any] | None = None,
    ) -> None:
        self.values = values
        self.timestamps = timestamps
        self.keys = keys
        self._time_range: tuple[int, int] | None = None

    def keyed(self, keys: list[Any], values: list[Any]) -> Batch:
        """Return the records with their keys; `values` are the records, perhaps with new names."""
        batch = Batch(values, self.timestamps, keys)
        batch._time_range = self._time_range
        return batch

    def time_range(self) -> tuple[int, int] | None:
        """Return the smallest and largest timestamp; None where there are none.

        They are looked for once, though several operators ask.
        """
        if self._time_range is None and self.timestamps:
            self._time_range = min(self.timestamps), max(self.timestamps)
        return self._time_range

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Batch({len(self.values)} records)"


@final
@dataclass(frozen=True, slots=True)
class BatchResources:
    """What sorting one operator's input may use in BATCH mode."""

    memory_bytes: int
    directory: Path
