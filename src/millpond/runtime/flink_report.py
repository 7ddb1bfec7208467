"""What a canonical savepoint holds that Flink cannot use is logged before it is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from millpond.formats.flink_limits import flink_limits
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind

if TYPE_CHECKING:
    from millpond.formats.flink_limits import FlinkLimit
    from millpond.runtime.subtask_snapshot import OperatorSnapshot
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("FlinkReport",)

_logger = logging.getLogger(__name__)


@final
class FlinkReport:
    """Logs each state that Flink could not use once a savepoint; shared by a vertex's subtasks."""

    def __init__(self) -> None:
        self._checkpoint_id = -1
        self._reported: set[tuple[str, str]] = set()

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
        if options.kind is not SnapshotKind.SAVEPOINT or options.format is SavepointFormat.NATIVE:
            return
        if checkpoint_id != self._checkpoint_id:
            self._checkpoint_id = checkpoint_id
            self._reported.clear()
        limits: list[FlinkLimit] = []
        if snapshot.operator_state is not None:
            state = snapshot.operator_state
            limits += flink_limits(state.metas, set(state.broadcasts_with_none()))
        if snapshot.keyed_state is not None:
            limits += flink_limits(snapshot.keyed_state.metas)
        for limit in limits:
            said = operator_name, str(limit)
            if said not in self._reported:
                self._reported.add(said)
                _logger.warning(
                    "Savepoint %d, operator %s: Apache Flink cannot use %s",
                    checkpoint_id,
                    operator_name,
                    limit,
                )
