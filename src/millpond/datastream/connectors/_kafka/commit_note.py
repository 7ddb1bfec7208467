"""`CommitNote`: which transactions of a writer went through, written with each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import msgspec

from millpond.errors import ConnectorError

__all__ = ("CommitNote",)


@final
@dataclass(frozen=True, slots=True)
class CommitNote:
    """What one transaction leaves behind for whoever recovers.

    Attributes:
        epoch: the life of the writer, a name that is never used again.
        floor: all transactions up to this number went through; they are counted from 1.
        above: further ones, in order: after a rescale they may come in any order.
    """

    epoch: str
    floor: int = 0
    above: tuple[int, ...] = ()

    def holds(self, epoch: str, number: int) -> bool:
        """Return whether a transaction went through, as far as this note knows."""
        return epoch == self.epoch and (number <= self.floor or number in self.above)

    def after(self, epoch: str, number: int) -> CommitNote:
        """Return the note that goes with one more transaction."""
        if epoch != self.epoch:
            return CommitNote(epoch).after(epoch, number)
        above = {*self.above, number}
        floor = self.floor
        while floor + 1 in above:
            floor += 1
        return CommitNote(epoch, floor, tuple(sorted(each for each in above if each > floor)))

    def encode(self) -> str:
        """Return the note as the metadata of a committed offset."""
        fields = {"millpond": 1, "epoch": self.epoch, "floor": self.floor, "above": self.above}
        return msgspec.json.encode(fields).decode()

    @classmethod
    def decode(cls, metadata: str, group: str) -> CommitNote:
        """Read a note back.

        Raises:
            ConnectorError: somebody else has committed offsets of this group.
        """
        try:
            fields = msgspec.json.decode(metadata, type=_Fields)
        except msgspec.MsgspecError as error:
            raise ConnectorError(
                "The offsets of the group that an exactly-once sink keeps its notes in are not "
                "its own.",
                hint="Give the sink another transactional id prefix.",
                group=group,
            ) from error
        return cls(fields.epoch, fields.floor, fields.above)


class _Fields(msgspec.Struct, frozen=True):
    millpond: int
    epoch: str
    floor: int
    above: tuple[int, ...]
