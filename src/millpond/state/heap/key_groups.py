"""`KeyGroups`: how the keys of one subtask fall into key groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.errors import KeyGroupOutOfRangeError

if TYPE_CHECKING:
    from millpond.serialization.key_serializer import KeySerializer
    from millpond.state.contract.key_group import KeyGroupRange

__all__ = ("KeyGroups",)


@final
@dataclass(frozen=True, slots=True)
class KeyGroups:
    """How keys of one subtask fall into key groups."""

    serializer: KeySerializer
    max_parallelism: int
    range: KeyGroupRange
    operator_name: str

    def of(self, keys: list[Any]) -> list[int]:
        """Return the key group of each key.

        Raises:
            KeyGroupOutOfRangeError: a key belongs to another subtask.
        """
        groups = self.serializer.key_groups(keys, self.max_parallelism)
        first, last = self.range
        if groups and not first <= min(groups) <= max(groups) <= last:
            group = next(group for group in groups if not first <= group <= last)
            raise KeyGroupOutOfRangeError(
                f"A key belongs to key group {group}, which is not this subtask's.",
                hint="The key selector must return the same key for a record every time.",
                operator=self.operator_name,
                key=repr(keys[groups.index(group)])[:200],
                key_groups=f"{first} to {last}",
            )
        return groups
