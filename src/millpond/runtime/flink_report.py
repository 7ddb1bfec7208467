"""What a canonical savepoint holds that Flink cannot use is logged before it is complete."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, final

from millpond.formats.flink_limits import flink_limits, none_in
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.formats.flink_limits import FlinkLimit
    from millpond.runtime.subtask_snapshot import OperatorSnapshot
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("FlinkReport",)

_KEPT_CHECKPOINTS = 4
"""What was said of older ones is forgotten."""

_logger = logging.getLogger(__name__)


@final
class FlinkReport:
    """Logs each state that Flink could not use once a savepoint; shared by a vertex's subtasks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reported: set[tuple[int, str, str]] = set()

    def report(
        self,
        snapshot: OperatorSnapshot,
        operator_name: str,
        checkpoint_id: int,
        options: SnapshotOptions,
    ) -> None:
        """Log a warning for what Flink could not use of the operator, unless it was said before.

        Only for canonical savepoints: checkpoints and native savepoints are Millpond's own affair.
        """
        if not _is_for_flink(options):
            return
        limits: list[FlinkLimit] = []
        if snapshot.operator_state is not None:
            state = snapshot.operator_state
            limits += flink_limits(state.metas, set(state.broadcasts_with_none()))
        if snapshot.keyed_state is not None:
            limits += flink_limits(snapshot.keyed_state.metas)
        self._say(limits, operator_name, checkpoint_id)

    def report_written(
        self,
        snapshot: OperatorSnapshot,
        operator_name: str,
        checkpoint_id: int,
        options: SnapshotOptions,
    ) -> None:
        """Log a warning for each map with TTL that holds None, which Flink reads as null.

        It is known, at no cost, once the values are encoded: called after the state was written and
        before that is acknowledged, so before the savepoint is complete. By any thread.
        """
        if _is_for_flink(options) and snapshot.keyed_state is not None:
            limits = [none_in(name) for name in snapshot.keyed_state.maps_with_none()]
            self._say(limits, operator_name, checkpoint_id)

    def _say(self, limits: Iterable[FlinkLimit], operator_name: str, checkpoint_id: int) -> None:
        for limit in limits:
            said = checkpoint_id, operator_name, str(limit)
            with self._lock:
                if said in self._reported:
                    continue
                oldest = checkpoint_id - _KEPT_CHECKPOINTS
                self._reported = {each for each in self._reported if each[0] > oldest} | {said}
            _logger.warning(
                "Savepoint %d, operator %s: Apache Flink cannot use %s",
                checkpoint_id,
                operator_name,
                limit,
            )


def _is_for_flink(options: SnapshotOptions) -> bool:
    return options.kind is SnapshotKind.SAVEPOINT and options.format is not SavepointFormat.NATIVE
