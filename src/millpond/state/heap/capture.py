"""Capturing a backend at a barrier: everything, or what changed since an earlier checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.formats.heap_increments import HeapStreamKind
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.heap.captured_changes import CapturedAddresses, CapturedTimerChanges
from millpond.state.heap.captured_fixed_rows import CapturedFixedRows, has_fixed_rows
from millpond.state.heap.captured_state import (
    CapturedEntries,
    CapturedRows,
    CapturedState,
    CapturedTimers,
)
from millpond.state.heap.table import FrozenTable, HeapTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.formats.state_meta import StateMeta
    from millpond.state.heap.change_log import ChangeLog
    from millpond.state.heap.key_groups import KeyGroups
    from millpond.state.heap.registered_state import RegisteredState
    from millpond.state.heap.registered_timers import RegisteredTimers
    from millpond.state.heap.restored_state import RestoredState

__all__ = ("Capture", "captured_entries")


@final
class Capture:
    """All tables of a backend, frozen at one moment; `release` lets go of them.

    Making it is the pause of a checkpoint: O(states). Used by the task thread.
    """

    def __init__(
        self,
        states: Mapping[str, RegisteredState],
        timers: Mapping[tuple[str, str], RegisteredTimers],
        restored: Mapping[str, RestoredState],
        key_groups: KeyGroups,
        now_ms: int,
    ) -> None:
        self._states = list(states.values())
        self._timers = list(timers.values())
        self._restored = list(restored.values())
        self._key_groups = key_groups
        self._now_ms = now_ms
        self._frozen: list[tuple[HeapTable, FrozenTable]] = []
        self._views: dict[HeapTable, FrozenTable] = {}
        for table in (
            *(registered.table for registered in self._states),
            *(registered.queue.table for registered in self._timers),
        ):
            view = table.freeze()
            self._frozen.append((table, view))
            self._views[table] = view
        for registered in self._timers:
            if registered.recording is not None:
                registered.recording.cut()

    def release(self) -> None:
        """Let go of the tables; a second call does nothing."""
        self._views.clear()
        while self._frozen:
            table, view = self._frozen.pop()
            table.release(view)

    def everything(self) -> list[CapturedState]:
        """Return all states, restored ones that nobody registered among them."""
        groups = self._key_groups
        captured: list[CapturedState] = []
        for state in self._states:
            view = self._views[state.table]
            captured.append(
                captured_entries(state.meta(), state.definition, view, groups, self._until(state))
            )
        for timers in self._timers:
            view = self._views[timers.queue.table]
            captured.append(CapturedTimers(timers.meta, timers.namespace, view, groups))
        captured.extend(CapturedRows(restored) for restored in self._restored)
        return captured

    # -- increments

    def positions(self) -> dict[ChangeLog, int]:
        """Return where every log stands."""
        return {log: log.end for log in self._logs()}

    def is_mostly_changed(self, since: Mapping[ChangeLog, int]) -> bool:
        """Return whether more than half of the entries changed since some positions."""
        changed = sum(
            state.table.log.size_since(since.get(state.table.log, 0))
            for state in self._states
            if state.table.log is not None
        )
        return changed * 2 > sum(state.table.rough_size for state in self._states)

    def changes(
        self, since: Mapping[ChangeLog, int]
    ) -> list[tuple[HeapStreamKind, list[CapturedState]]]:
        """Return what went and what was added or changed since some positions."""
        groups = self._key_groups
        removed: list[CapturedState] = []
        added: list[CapturedState] = []
        for state in self._states:
            log, definition, until = state.table.log, state.definition, self._until(state)
            assert log is not None
            layers = log.since(since.get(log, 0))
            if not layers:
                continue
            meta = state.meta()
            rewritten = definition.kind is StateKind.MAP or until is not None
            removed.append(
                CapturedAddresses(
                    meta, definition.namespace, layers, groups, removed_only=not rewritten
                )
            )
            added.append(captured_entries(meta, definition, FrozenTable(layers), groups, until))
        for timers in self._timers:
            assert timers.recording is not None
            log = timers.recording.log
            layers = log.since(since.get(log, 0))
            for part, is_added in ((removed, False), (added, True)):
                part.append(
                    CapturedTimerChanges(
                        timers.meta, timers.namespace, layers, groups, added=is_added
                    )
                )
        return [(HeapStreamKind.REMOVED, removed), (HeapStreamKind.ADDED, added)]

    def _logs(self) -> list[ChangeLog]:
        tables = (state.table.log for state in self._states)
        queues = (each.recording.log for each in self._timers if each.recording is not None)
        return [log for log in (*tables, *queues) if log is not None]

    def _until(self, state: RegisteredState) -> int | None:
        ttl = state.ttl
        return self._now_ms - ttl.ttl_ms if ttl is not None and ttl.filter_snapshots else None


def captured_entries(
    meta: StateMeta,
    definition: StateDefinition,
    view: FrozenTable,
    key_groups: KeyGroups,
    expired_until_ms: int | None,
) -> CapturedState:
    """Capture a registered state, in the way that writes it with the least work."""
    captured = CapturedFixedRows if has_fixed_rows(definition, key_groups) else CapturedEntries
    return captured(meta, definition, view, key_groups, expired_until_ms)
