"""`JobID`: 16 random bytes, shown as 32 hexadecimal digits."""

from __future__ import annotations

from typing import final

__all__ = ("JobID",)


@final
class JobID:
    """The id of a job; also the name of its checkpoint directory.

    Raises:
        ValueError: there are not 16 bytes.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        if len(data) != 16:
            raise ValueError(f"A job id has 16 bytes, not {len(data)}.")
        self._data = bytes(data)

    @staticmethod
    def from_hex(text: str) -> JobID:
        """Return the id written in hexadecimal digits.

        Raises:
            ValueError: there are not 32 such digits.
        """
        return JobID(bytes.fromhex(text))

    def to_bytes(self) -> bytes:
        """Return the 16 bytes."""
        return self._data

    def __str__(self) -> str:
        return self._data.hex()

    def __repr__(self) -> str:
        return f"JobID({self._data.hex()})"

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, JobID) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._data)
