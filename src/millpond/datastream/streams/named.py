"""`NamedStream`: what every stream with an operator behind it can be told about that operator."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Self

from millpond.datastream.transformation import ChainingStrategy, Transformation
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.datastream.slot_sharing_group import SlotSharingGroup

__all__ = ("NamedStream",)


class NamedStream:
    """Setters of the operator that made this stream; each returns the stream itself."""

    def __init__(self, transformation: Transformation) -> None:
        self._transformation = transformation

    def get_name(self) -> str:
        """Return the operator's name."""
        return self._transformation.name

    def name(self, name: str) -> Self:
        """Name the operator, for errors, logs and the dashboard."""
        self._transformation.name = name
        return self

    def uid(self, uid: str) -> Self:
        """Give the operator an id that survives changes of the program.

        Its hash is the operator's id in checkpoints and savepoints.

        Raises:
            ConfigurationError: it is empty. To checkpoints of Flink that means none.
        """
        if not uid:
            raise ConfigurationError(
                "The uid is empty, as that of an operator without one is in a checkpoint.",
                hint="Give the operator another one, or leave uid() out.",
                operator=self._transformation.name,
            )
        self._transformation.uid = uid
        return self

    def set_uid_hash(self, uid_hash: str) -> Self:
        """Set the operator id itself: 32 hexadecimal digits, as `_metadata` shows them.

        Raises:
            ConfigurationError: it is something else.
        """
        if len(uid_hash) != 32 or not set(uid_hash) <= set(string.hexdigits):
            raise ConfigurationError(
                f"The uid hash {uid_hash!r} is not 32 hexadecimal digits.",
                operator=self._transformation.name,
            )
        self._transformation.uid_hash = uid_hash.lower()
        return self

    def set_description(self, description: str) -> Self:
        """Describe the operator for people."""
        self._transformation.description = description
        return self

    def set_parallelism(self, parallelism: int) -> Self:
        """Set the number of subtasks.

        Raises:
            ConfigurationError: it is not positive, or the operator cannot run in parallel.
        """
        if not isinstance(parallelism, int) or parallelism < 1:
            raise ConfigurationError(
                f"Parallelism must be a whole number of at least 1, not {parallelism!r}.",
                operator=self._transformation.name,
            )
        if self._transformation.force_non_parallel and parallelism != 1:
            raise ConfigurationError(
                "This operator runs as one subtask; its parallelism cannot be raised.",
                operator=self._transformation.name,
            )
        self._transformation.parallelism = parallelism
        return self

    def set_max_parallelism(self, max_parallelism: int) -> Self:
        """Set the number of key groups, the upper bound of the parallelism (1 to 32768).

        Raises:
            ConfigurationError: it is out of range.
        """
        if not isinstance(max_parallelism, int) or not 0 < max_parallelism <= 32768:
            raise ConfigurationError(
                f"Max parallelism {max_parallelism!r} is not between 1 and 32768.",
                operator=self._transformation.name,
            )
        self._transformation.max_parallelism = max_parallelism
        return self

    def disable_chaining(self) -> Self:
        """Run the operator in a task of its own."""
        self._transformation.chaining = ChainingStrategy.NEVER
        return self

    def slot_sharing_group(self, slot_sharing_group: str | SlotSharingGroup) -> Self:
        """Name the group of operators that may share a slot with this one."""
        name = (
            slot_sharing_group
            if isinstance(slot_sharing_group, str)
            else slot_sharing_group.get_name()
        )
        self._transformation.slot_sharing_group = name
        return self
