"""What a canonical savepoint holds that Flink cannot use is logged before it is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from millpond.formats.flink_limits import flink_limits
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind

if TYPE_CHECKING:
    from millpond.formats.flink_limits import FlinkLimit
    from millpond.runtime.subtask_snapshot import OperatorSnapshot
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("report_flink_limits",)

_logger = logging.getLogger(__name__)


def report_flink_limits(
    snapshot: OperatorSnapshot,
    operator_name: str,
    subtask_index: int,
    checkpoint_id: int,
    options: SnapshotOptions,
) -> None:
    """Log a warning for each state of the operator that Flink could not use.

    Only for canonical savepoints: checkpoints and native savepoints are Millpond's own affair.
    Keyed state is the same in every subtask, and is reported by the first one.
    """
    if options.kind is not SnapshotKind.SAVEPOINT or options.format is SavepointFormat.NATIVE:
        return
    limits: list[FlinkLimit] = []
    if snapshot.operator_state is not None:
        state = snapshot.operator_state
        limits += flink_limits(state.metas, set(state.broadcasts_with_none()))
    if snapshot.keyed_state is not None and subtask_index == 0:
        limits += flink_limits(snapshot.keyed_state.metas)
    for limit in limits:
        _logger.warning(
            "Savepoint %d, operator %s, subtask %d: Apache Flink cannot use %s",
            checkpoint_id,
            operator_name,
            subtask_index + 1,
            limit,
        )
