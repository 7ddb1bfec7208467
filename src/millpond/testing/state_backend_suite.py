"""`StateBackendSuite`: what every store of keyed state must pass, for pytest.

Subclass it in a test module and say how a store is made::

    class TestMyStore(StateBackendSuite):
        def create_store(self):
            return MyStateStore()

The cases have the names of Flink's StateBackendTestBase, StateBackendMigrationTestBase,
TtlStateTestBase, InternalPriorityQueueTestBase and InternalTimerServiceImplTest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from millpond.state.contract.snapshot import SnapshotOptions
from millpond.testing.backend_harness import BackendHarness
from millpond.testing.iteration_cases import IterationCases
from millpond.testing.keyed_state_cases import KeyedStateCases
from millpond.testing.map_state_cases import MapStateCases
from millpond.testing.migration_cases import MigrationCases
from millpond.testing.namespace_cases import NamespaceCases
from millpond.testing.rescaling_cases import RescalingCases
from millpond.testing.restore_cases import RestoreCases
from millpond.testing.snapshot_cases import SnapshotCases
from millpond.testing.timer_queue_cases import TimerQueueCases
from millpond.testing.timer_service_cases import TimerServiceCases
from millpond.testing.ttl_cases import TtlCases
from millpond.testing.ttl_cleanup_cases import TtlCleanupCases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from millpond.state.contract.keyed_backend import StateStore

__all__ = ("StateBackendSuite",)


class StateBackendSuite(
    KeyedStateCases,
    MapStateCases,
    NamespaceCases,
    IterationCases,
    SnapshotCases,
    RestoreCases,
    RescalingCases,
    MigrationCases,
    TtlCases,
    TtlCleanupCases,
    TimerQueueCases,
    TimerServiceCases,
):
    """All cases. Override `create_store`, and `snapshot_options` for other kinds of snapshots."""

    def create_store(self) -> StateStore:
        """Return a new store."""
        raise TypeError("Override create_store() in your subclass.")

    def snapshot_options(self) -> SnapshotOptions:
        """Return the kind of snapshots that the cases take."""
        return SnapshotOptions()

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[BackendHarness]:
        """Make backends of the store for one case and close them after it."""
        harness = BackendHarness(self.create_store(), tmp_path, options=self.snapshot_options())
        try:
            yield harness
        finally:
            harness.close()
