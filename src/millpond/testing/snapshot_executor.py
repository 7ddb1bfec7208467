"""Executors without threads, so that a run with snapshots in the background can be repeated."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ("DelayedExecutor", "ImmediateExecutor")

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")


@final
class ImmediateExecutor(Executor):
    """Runs work when it is submitted.

    What is no Exception, such as a simulated crash, comes out of `submit` itself.
    """

    def submit(  # type: ignore[override]  # the typeshed has positional-only parameters
        self,
        fn: Callable[ParametersT, ResultT],
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        """Run now and return a future that is done."""
        future: Future[ResultT] = Future()
        _work(future, lambda: fn(*args, **kwargs))
        return future


@final
class DelayedExecutor(Executor):
    """Runs work on the thread that asks for it, after it asked some random number of times.

    So a snapshot is written while the job goes on, at a moment that the seed decides.

    Args:
        random: how often `done` is asked before the work runs.
        most: the largest number.
    """

    def __init__(self, random: Random, most: int = 12) -> None:
        self._random = random
        self._most = most

    def submit(  # type: ignore[override]  # the typeshed has positional-only parameters
        self,
        fn: Callable[ParametersT, ResultT],
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        """Return a future that runs the work later; `result` and `exception` run it at once."""
        return _DelayedFuture(lambda: fn(*args, **kwargs), self._random.randint(0, self._most))


def _work(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, Exception):
            raise
    else:
        future.set_result(result)


@final
class _DelayedFuture(Future[ResultT]):
    def __init__(self, function: Callable[[], ResultT], delay: int) -> None:
        super().__init__()
        self._function: Callable[[], ResultT] | None = function
        self._delay = delay

    def done(self) -> bool:
        """Count the question, and run the work when it was asked often enough."""
        self._delay -= 1
        if self._delay < 0:
            self._run()
        return super().done()

    def result(self, timeout: float | None = None) -> ResultT:
        """Run the work, if nobody did, and return what came of it."""
        self._run()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Run the work, if nobody did, and return its failure."""
        self._run()
        return super().exception(timeout)

    def _run(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            _work(self, function)
