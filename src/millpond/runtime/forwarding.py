"""`forward`: one future's result becomes another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ("forward",)


def forward(source: Future[Any], target: Future[Any]) -> None:
    """Give `target` the result or the error of `source` as soon as there is one."""

    def copy(done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            target.set_result(done.result())
        else:
            target.set_exception(error)

    source.add_done_callback(copy)
