"""`UserFunctionOperator`: an operator around one user function and that function's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.adapter import FunctionAdapter
from millpond.datastream.functions import CheckpointedFunction, CheckpointListener, Function
from millpond.operators.checkpointed_function import initialize_function, snapshot_function
from millpond.operators.operator import Operator, OperatorContext, user_code_error
from millpond.operators.runtime_context import SubtaskRuntimeContext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("UserFunctionOperator", "bound_method", "method_name")


def bound_method(function: Any, kind: type, name: str) -> Callable[..., Any]:
    """Return the method of a function object, or the plain callable itself."""
    method: Callable[..., Any] = getattr(function, name) if isinstance(function, kind) else function
    return method


def method_name(function: Any, name: str) -> str:
    """Return how an error names a user function: class and method, or the callable's name."""
    if isinstance(function, FunctionAdapter):
        own = name in {"open", "close"}
        function, name = function.function, name if own else function.method
    if isinstance(function, Function):
        return f"{type(function).__name__}.{name}"
    return getattr(function, "__qualname__", None) or repr(function)


class UserFunctionOperator(Operator):
    """Opens, snapshots and closes a user function with its operator.

    A plain callable has no life of its own; function objects are opened with a runtime context,
    `CheckpointedFunction` and `CheckpointListener` are honoured.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self._opened = False

    def setup(self, context: OperatorContext) -> None:
        super().setup(context)
        self.runtime_context = SubtaskRuntimeContext(context)

    def initialize_state(self) -> None:
        if isinstance(self.function, CheckpointedFunction):
            initialize_function(self.function, self.context, self.runtime_context)

    def open(self) -> None:
        if isinstance(self.function, Function):
            try:
                self.function.open(self.runtime_context)
            except Exception as error:
                user_code_error(error, self.context, method_name(self.function, "open"))
        self._opened = True

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        if isinstance(self.function, CheckpointedFunction):
            snapshot_function(self.function, self.context, checkpoint_id, timestamp_ms)

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        if isinstance(self.function, CheckpointListener):
            try:
                self.function.notify_checkpoint_complete(checkpoint_id)
            except Exception as error:
                name = method_name(self.function, "notify_checkpoint_complete")
                user_code_error(error, self.context, name)

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        if isinstance(self.function, CheckpointListener):
            try:
                self.function.notify_checkpoint_aborted(checkpoint_id)
            except Exception as error:
                name = method_name(self.function, "notify_checkpoint_aborted")
                user_code_error(error, self.context, name)

    def close(self) -> None:
        if self._opened and isinstance(self.function, Function):
            self._opened = False
            try:
                self.function.close()
            except Exception as error:
                user_code_error(error, self.context, method_name(self.function, "close"))
