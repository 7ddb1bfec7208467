"""`Coder`: values to bytes and back, the one interface of all serialization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ("Coder",)


class Coder(ABC):
    """Encodes values of one declared type.

    Encodings are self-delimiting, so that elements may be written one after the other. A coder
    has no state and may be used by several threads.

    Attributes:
        signature: the declared type as text, for example ``LONG`` or ``MAP<STRING, LONG>``;
            recorded in snapshots and named in errors.
        immutable: values cannot change in place, so that sharing one needs no copy.
        pickled: decoding may run code; tools that open foreign snapshots refuse such state.
    """

    __slots__ = ()
    signature: str
    immutable: bool
    pickled: bool

    @abstractmethod
    def encode(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            SerializationError: the value does not fit the declared type.
        """

    @abstractmethod
    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Return the value that starts at `offset` and the offset after it.

        Raises:
            SerializationError: the bytes do not hold such a value.
        """

    def decode(self, data: bytes) -> Any:
        """Return the value that `data` starts with."""
        return self.decode_from(data, 0)[0]

    def normalize(self, value: Any) -> Any:
        """Return the value as decoding gives it: rounded, a tuple instead of a list, and so on.

        Raises:
            SerializationError: the value does not fit the declared type.
        """
        return self.decode(self.encode(value))

    def schema(self) -> str:
        """Return the type in more detail than the signature: the fields of a record class."""
        return self.signature

    def copy(self, value: Any) -> Any:
        """Return an independent copy; immutable values are returned as they are."""
        return value if self.immutable else self.decode(self.encode(value))
