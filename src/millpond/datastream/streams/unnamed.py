"""`UnnamedStream`: streams that no operator of their own stands behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from millpond.datastream.streams.plain import DataStream
from millpond.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from millpond.datastream.slot_sharing_group import SlotSharingGroup

__all__ = ("UnnamedStream",)


class UnnamedStream(DataStream):
    """Refuses what would silently change the operator before it, as PyFlink does.

    Every method here raises UnsupportedOperationError.
    """

    def get_name(self) -> str:
        """Refuse."""
        self._refuse("a name")

    def name(self, name: str) -> NoReturn:
        """Refuse."""
        self._refuse("a name")

    def uid(self, uid: str) -> NoReturn:
        """Refuse."""
        self._refuse("a uid")

    def set_uid_hash(self, uid_hash: str) -> NoReturn:
        """Refuse."""
        self._refuse("a uid hash")

    def set_description(self, description: str) -> NoReturn:
        """Refuse."""
        self._refuse("a description")

    def set_parallelism(self, parallelism: int) -> NoReturn:
        """Refuse."""
        self._refuse("a parallelism")

    def set_max_parallelism(self, max_parallelism: int) -> NoReturn:
        """Refuse."""
        self._refuse("a max parallelism")

    def force_non_parallel(self) -> NoReturn:
        """Refuse."""
        self._refuse("a parallelism")

    def set_buffer_timeout(self, timeout_millis: int) -> NoReturn:
        """Refuse."""
        self._refuse("a buffer timeout")

    def start_new_chain(self) -> NoReturn:
        """Refuse."""
        self._refuse("a chain")

    def disable_chaining(self) -> NoReturn:
        """Refuse."""
        self._refuse("a chain")

    def slot_sharing_group(self, slot_sharing_group: str | SlotSharingGroup) -> NoReturn:
        """Refuse."""
        self._refuse("a slot sharing group")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedOperationError(
            f"A {type(self).__name__} has not {what} of its own.",
            hint="Call this on the stream before it, or on the one that its operator makes.",
        )
