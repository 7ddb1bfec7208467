"""`CalmCollection`: keeps Python's cyclic garbage collector from walking what stays anyway."""

from __future__ import annotations

import gc
import sys
import threading
from typing import final

__all__ = ("CalmCollection", "collect_ended_jobs")

_YOUNG_OBJECTS = 10_000
_lock = threading.Lock()
_open_count = 0
_thresholds_before = (0, 0, 0)
_frozen_here = False
_blocks_before = 0


@final
class CalmCollection:
    """Sets the collector up for a job that runs, for as long as any is open in this process.

    Everything that is alive when the first one opens, such as imported modules and restored
    state, is taken out of collections (`gc.freeze`), and collections of young objects come every
    10,000 instead of every 700. A frozen object is still freed when its last reference goes; only
    cycles among frozen ones stay until the last job ends. A program's own choices are respected:
    nothing happens where the collector is off or objects are frozen already, and thresholds are
    never lowered. See decisions/0031.
    """

    def __init__(self) -> None:
        global _open_count, _thresholds_before, _frozen_here  # noqa: PLW0603 - as the collector is
        self._open = True
        with _lock:
            _open_count += 1
            if _open_count > 1:
                return
            _thresholds_before = gc.get_threshold()
            if gc.isenabled() and _thresholds_before[0]:
                gc.set_threshold(
                    max(_YOUNG_OBJECTS, _thresholds_before[0]), *_thresholds_before[1:]
                )
                _frozen_here = gc.get_freeze_count() == 0
                if _frozen_here:
                    gc.freeze()

    def close(self) -> None:
        """Give the collector back as it was, if this was the last; may be called twice."""
        global _open_count, _frozen_here  # noqa: PLW0603 - as the collector is
        if not self._open:
            return
        self._open = False
        with _lock:
            _open_count -= 1
            if _open_count:
                return
            gc.set_threshold(*_thresholds_before)
            if _frozen_here:
                _frozen_here = False
                gc.unfreeze()


def collect_ended_jobs(*, restarted: bool) -> None:
    """Free what attempts and jobs before left in this process; before state is restored.

    Operators and their contexts are cycles that hold state. The next `CalmCollection` would freeze
    them as alive, and each job would keep the state of one more. So all is collected when a job
    has `restarted`, and before another job when a quarter more is allocated than the last time.
    """
    global _blocks_before  # noqa: PLW0603 - as the collector is
    blocks = sys.getallocatedblocks()
    if _blocks_before and gc.isenabled() and (restarted or 4 * blocks > 5 * _blocks_before):
        gc.collect()
        blocks = sys.getallocatedblocks()
    elif _blocks_before:
        return
    _blocks_before = blocks
