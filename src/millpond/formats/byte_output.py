"""`ByteOutput`: where format writers put their bytes."""

from __future__ import annotations

from typing import Protocol

__all__ = ("ByteOutput",)


class ByteOutput(Protocol):
    """A stream that is only appended to; `state.contract.snapshot.SnapshotOutput` is one."""

    def write(self, data: bytes) -> None:
        """Append bytes."""
        ...

    @property
    def position(self) -> int:
        """Bytes written so far."""
        ...
