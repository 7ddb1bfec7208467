"""`CloseableIterator`: results of a running job, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ("CloseableIterator",)


@final
class CloseableIterator:
    """Iterates over results; closing it cancels a job that still runs.

    A failure of the job is raised by `next`. Usable as a context manager.
    """

    def __init__(self, results: Iterator[Any], close: Callable[[], None]) -> None:
        self._results = results
        self._close = close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._results)

    def next(self) -> Any:
        """Return the next result; raises StopIteration after the last."""
        return next(self._results)

    def close(self) -> None:
        """Stop the job, if it still runs, and forget what was not read."""
        self._results = iter(())
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
