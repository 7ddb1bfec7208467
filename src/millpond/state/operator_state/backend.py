"""`OperatorStateBackend`: all operator state of one subtask; always in memory, as in Flink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import (
    BroadcastState,
    ListStateDescriptor,
    MapStateDescriptor,
    OperatorStateStore,
    StateDescriptor,
)
from millpond.errors import (
    FormatError,
    SerializationError,
    SerializerIncompatibleError,
    StateTypeError,
)
from millpond.formats.handles import DistributionMode, OperatorStateHandle
from millpond.formats.pyflink_serializers import (
    PYTHON_STATE_PREFIX,
    broadcast_state_meta,
    operator_list_state_meta,
)
from millpond.formats.state_meta import SIGNATURE
from millpond.serialization.coders import coder_for
from millpond.state.operator_state.broadcast_state import HeapBroadcastState
from millpond.state.operator_state.list_state import OperatorListState
from millpond.state.operator_state.snapshot import CapturedState, OperatorStateSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.serialization.coder import Coder
    from millpond.state.contract.snapshot import Snapshot, SnapshotOptions, SnapshotStreams
    from millpond.state.operator_state.restored_state import RestoredOperatorState, RestoredState

__all__ = ("OperatorStateBackend",)

_MODE_NAMES = {
    DistributionMode.SPLIT: "split list",
    DistributionMode.UNION: "union list",
    DistributionMode.BROADCAST: "broadcast",
}


@final
class OperatorStateBackend(OperatorStateStore):
    """Lists and broadcast maps of one subtask. Only the task thread uses it.

    States of the snapshot that nobody registers are carried into the next snapshot unchanged.
    """

    def __init__(self, operator_name: str, restored: RestoredOperatorState | None = None) -> None:
        """Make the backend; `restored` is what `redistribute` gave this subtask."""
        self._operator = operator_name
        self._restored: dict[str, RestoredState] = dict(restored.states) if restored else {}
        self._lists: dict[str, OperatorListState] = {}
        self._broadcasts: dict[str, HeapBroadcastState] = {}

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> OperatorListState:
        """Return a list whose elements are split when the parallelism changes.

        Raises:
            StateTypeError: the name is registered, or restored, as another kind or type.
        """
        return self._list(state_descriptor, DistributionMode.SPLIT)

    def get_union_list_state(self, state_descriptor: ListStateDescriptor) -> OperatorListState:
        """Return a list of which every subtask gets all elements at a restore.

        Raises:
            StateTypeError: the name is registered, or restored, as another kind or type.
        """
        return self._list(state_descriptor, DistributionMode.UNION)

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> HeapBroadcastState:
        """Return a map of which every subtask has its own, equal copy.

        Raises:
            StateTypeError: the name is registered, or restored, as another kind or type.
        """
        self._check_descriptor(state_descriptor, MapStateDescriptor)
        name = state_descriptor.get_name()
        key_coder = coder_for(state_descriptor.key_type_info)
        value_coder = coder_for(state_descriptor.type_info)
        signature = _signature(DistributionMode.BROADCAST, key_coder, value_coder)
        known = self._known(name)
        if known is not None:
            self._check_same(name, known, signature)
            return self._broadcasts[name]
        entries: dict[Any, Any] = {}
        for key, value in self._take(PYTHON_STATE_PREFIX + name, signature):
            decoded = self._decode(name, key_coder, key)
            entries[decoded] = self._decode(name, value_coder, value) if value else None
        state = HeapBroadcastState(name, key_coder, value_coder, entries, self._operator)
        self._broadcasts[name] = state
        return state

    def broadcast_states(self) -> Mapping[str, BroadcastState[Any, Any]]:
        """Return the registered broadcast states by name."""
        return self._broadcasts

    def unregistered(self) -> frozenset[str]:
        """Return the restored states that nobody registered, by their names in snapshots."""
        return frozenset(self._restored)

    def snapshot(
        self, checkpoint_id: int, streams: SnapshotStreams, options: SnapshotOptions
    ) -> Snapshot[OperatorStateHandle | None]:
        """Capture everything; the handle is None when no state is registered or restored.

        Immutable elements are written by the background thread; others are encoded here.

        Raises:
            SerializationError: an element does not fit its declared type.
        """
        captured: list[CapturedState] = []
        for listed in self._lists.values():
            meta = operator_list_state_meta(
                listed.name,
                union=listed.mode == DistributionMode.UNION,
                signature=_signature(listed.mode, listed.coder),
            )
            encode = listed.coder.encode if listed.coder.immutable else None
            captured.append(CapturedState(meta, listed.capture(), encode))
        for broadcast in self._broadcasts.values():
            signature = _signature(
                DistributionMode.BROADCAST, broadcast.key_coder, broadcast.value_coder
            )
            meta = broadcast_state_meta(broadcast.name, signature)
            immutable = broadcast.key_coder.immutable and broadcast.value_coder.immutable
            encode_entry = broadcast.encode_entry if immutable else None
            captured.append(CapturedState(meta, broadcast.capture(), encode_entry))
        captured.extend(
            CapturedState(restored.meta, restored.elements, None)
            for restored in self._restored.values()
        )
        return OperatorStateSnapshot(captured, streams, self._operator, checkpoint_id)

    def close(self) -> None:
        """Forget everything; may be called twice."""
        self._lists.clear()
        self._broadcasts.clear()
        self._restored.clear()

    def _list(self, descriptor: ListStateDescriptor, mode: DistributionMode) -> OperatorListState:
        self._check_descriptor(descriptor, ListStateDescriptor)
        name = descriptor.get_name()
        coder = coder_for(descriptor.type_info)
        signature = _signature(mode, coder)
        known = self._known(name)
        if known is not None:
            self._check_same(name, known, signature)
            return self._lists[name]
        elements = [self._decode(name, coder, data) for data in self._take(name, signature)]
        state = OperatorListState(name, mode, coder, elements, self._operator)
        self._lists[name] = state
        return state

    def _check_descriptor(self, descriptor: StateDescriptor, kind: type) -> None:
        if not isinstance(descriptor, kind):
            raise StateTypeError(
                f"This needs a {kind.__name__}, not a {type(descriptor).__name__}.",
                operator=self._operator,
            )
        if descriptor.ttl_config is not None and descriptor.ttl_config.is_enabled():
            raise StateTypeError(
                "Operator state has no time to live.",
                hint="Only keyed state expires.",
                state=descriptor.get_name(),
                operator=self._operator,
            )

    def _known(self, name: str) -> str | None:
        """Return the signature that a name is registered with."""
        if name in self._lists:
            state = self._lists[name]
            return _signature(state.mode, state.coder)
        if name in self._broadcasts:
            broadcast = self._broadcasts[name]
            return _signature(
                DistributionMode.BROADCAST, broadcast.key_coder, broadcast.value_coder
            )
        return None

    def _check_same(self, name: str, known: str, signature: str) -> None:
        if known != signature:
            raise StateTypeError(
                f"The operator state is registered as {known} and cannot be used as {signature}.",
                hint="Use one name for one state.",
                state=name,
                operator=self._operator,
            )

    def _take(self, stored_name: str, signature: str) -> list[Any]:
        """Take restored elements out, after checking that they are what is declared."""
        restored = self._restored.get(stored_name)
        if restored is None:
            return []
        found = restored.meta.options.get(SIGNATURE)
        wanted_mode = signature.partition("<")[0]
        if _MODE_NAMES[restored.mode] != wanted_mode or (found is not None and found != signature):
            raise SerializerIncompatibleError(
                f"The snapshot holds {found or _MODE_NAMES[restored.mode]} and cannot be used "
                f"as {signature}.",
                hint="Declare the state as it was, or give the new one another name.",
                state=stored_name.removeprefix(PYTHON_STATE_PREFIX),
                operator=self._operator,
            )
        del self._restored[stored_name]
        return restored.elements

    def _decode(self, name: str, coder: Coder, data: bytes) -> Any:
        try:
            value, end = coder.decode_from(data, 0)
        except (SerializationError, FormatError) as error:
            raise SerializerIncompatibleError(
                f"Restored bytes are no {coder.signature}: {error.message}",
                state=name,
                operator=self._operator,
            ) from error
        if end != len(data):
            raise SerializerIncompatibleError(
                f"Restored bytes are no {coder.signature}: {len(data) - end} bytes are left.",
                state=name,
                operator=self._operator,
            )
        return value


def _signature(mode: DistributionMode, *coders: Coder) -> str:
    return f"{_MODE_NAMES[mode]}<{', '.join(coder.signature for coder in coders)}>"
