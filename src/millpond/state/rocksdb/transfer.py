"""`transfer`: copies several files at a time between the local disk and a snapshot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("transfer",)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def transfer(
    copy: Callable[[ItemT], ResultT], items: Sequence[ItemT], threads: int
) -> list[ResultT]:
    """Return `copy(item)` for each item, in their order; up to `threads` at a time.

    Raises:
        Exception: the first that a copy raised, in the order of the items; copies that have not
            begun by then are dropped.
    """
    if threads <= 1 or len(items) <= 1:
        return [copy(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items)), "millpond-transfer") as pool:
        futures = [pool.submit(copy, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
