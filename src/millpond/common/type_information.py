"""`TypeInformation`: the declared type of a value, from which coders and serializers are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from millpond.errors import UnsupportedOperationError

__all__ = ("TypeInformation",)


class TypeInformation(ABC):
    """A declared type. Immutable; equal when the signatures are equal."""

    @property
    @abstractmethod
    def signature(self) -> str:
        """The type as text, for example ``LONG`` or ``MAP<STRING, LONG>``."""

    def need_conversion(self) -> bool:
        """Say whether values differ between the user's side and the engine's side."""
        return False

    def to_internal_type(self, obj: Any) -> Any:
        """Convert a user's value to plain numbers, strings and tuples, as PyFlink does."""
        return obj

    def from_internal_type(self, obj: Any) -> Any:
        """Convert what `to_internal_type` returned back to a user's value."""
        return obj

    def get_java_type_info(self) -> Any:
        """Refuse: there is no JVM.

        Raises:
            UnsupportedOperationError: always.
        """
        raise UnsupportedOperationError(
            f"{self.signature} has no Java type information: Millpond runs without a JVM.",
            hint="Use the type information itself, or its `signature`.",
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypeInformation):
            return NotImplemented
        return self.signature == other.signature

    def __hash__(self) -> int:
        return hash(self.signature)

    def __repr__(self) -> str:
        return self.signature
