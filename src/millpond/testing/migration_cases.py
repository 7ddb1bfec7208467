"""Conformance cases of changed record classes, after Flink's StateBackendMigrationTestBase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
)
from millpond.errors import MillpondError
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

__all__ = ("MigrationCases",)


@dataclass
class _First:
    """A record as the first version of a program has it."""

    name: str
    dropped: int


@dataclass
class _Second:
    """The same record later: one field is gone, one with a default is new."""

    name: str
    added: int = 7


@dataclass
class _Incompatible:
    """The same record with a new field that has no default."""

    name: str
    needed: int


# The three are versions of one class: a type is known by the name of its class.
for _version in (_First, _Second, _Incompatible):
    _version.__qualname__ = "Record"


def _descriptor(kind: str, record: type) -> StateDescriptor:
    declared = Types.TYPED(record)
    if kind == "value":
        return ValueStateDescriptor("state", declared)
    if kind == "list":
        return ListStateDescriptor("state", declared)
    if kind == "reducing":
        return ReducingStateDescriptor("state", lambda a, _: a, declared)
    return MapStateDescriptor("state", Types.STRING(), declared)


def _write(kind: str, state: Any, record: Any) -> None:
    if kind == "value":
        state.update(record)
    elif kind == "map":
        state.put("k", record)
    else:
        state.add(record)


def _read(kind: str, state: Any) -> list[Any]:
    if kind == "list":
        return list(state.get())
    if kind == "map":
        return list(state.values())
    return [state.value() if kind == "value" else state.get()]


_every_kind = pytest.mark.parametrize("kind", ["value", "list", "map", "reducing"])


class MigrationCases:
    """State of a class that changed between two runs."""

    @_every_kind
    def test_state_migration(self, harness: BackendHarness, kind: str) -> None:
        """Fields may be dropped, and added with defaults; the next snapshots have the new form."""
        backend = harness.create()
        for key in range(20):
            with at_key(backend, key):
                _write(kind, state_of(backend, _descriptor(kind, _First)), _First(f"n{key}", key))
        for _ in range(2):
            backend = harness.restored(backend)
            state = state_of(backend, _descriptor(kind, _Second))
            for key in range(20):
                with at_key(backend, key):
                    assert _read(kind, state) == [_Second(f"n{key}", 7)]
        with at_key(backend, 3):
            state.clear()
            _write(kind, state, _Second("changed", 8))
        backend = harness.restored(backend)
        state = state_of(backend, _descriptor(kind, _Second))
        with at_key(backend, 3):
            assert _read(kind, state) == [_Second("changed", 8)]

    @_every_kind
    def test_incompatible_migration(self, harness: BackendHarness, kind: str) -> None:
        """A new field without a default is refused, at registration or at the first access."""
        backend = harness.create()
        with at_key(backend, 1):
            _write(kind, state_of(backend, _descriptor(kind, _First)), _First("n", 1))
        backend = harness.restored(backend)

        def access() -> None:
            with at_key(backend, 1):
                _read(kind, state_of(backend, _descriptor(kind, _Incompatible)))

        with pytest.raises(MillpondError, match="needed"):
            access()
