"""`FunctionAdapter`: a function of one kind that stands for a user's function of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from millpond.datastream._functions.function import RuntimeContext

__all__ = ("FunctionAdapter",)


class FunctionAdapter(Function):
    """Opens and closes the adapted function; errors name that one and its method."""

    def __init__(self, function: Any, method: str) -> None:
        self.function = function
        self.method = method

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open it, if it is a function object."""
        if isinstance(self.function, Function):
            self.function.open(runtime_context)

    def close(self) -> None:
        """Close it, if it is a function object."""
        if isinstance(self.function, Function):
            self.function.close()
