"""`Savepoint`: a snapshot of Millpond or Flink, opened to be read without a job."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from millpond.checkpoint.loading import load_checkpoint
from millpond.errors import FormatError, SavepointMismatchError
from millpond.formats import serializer_classes as classes
from millpond.formats.handles import IncrementalHandle, InlineHandle
from millpond.formats.heap_increments import is_heap_increments
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import (
    PYTHON_STATE_PREFIX,
    namespace_kind,
    timer_service_of,
)
from millpond.formats.savepoint_content import read_operator_content
from millpond.formats.state_meta import (
    DISTRIBUTION_MODE,
    KEYED_STATE_TYPE,
    NAMESPACE_SERIALIZER,
    SIGNATURE,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)
from millpond.runtime.operator_id import operator_id_of_uid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.formats.handles import KeyedHandle, OperatorState, StreamHandle
    from millpond.formats.keyed_header import KeyedHeader
    from millpond.formats.serializer_snapshot import SerializerSnapshot

__all__ = ("OperatorContent", "Savepoint", "StoredState", "total_bytes", "user_name")

_OPERATOR_KINDS: Final = {
    "SPLIT_DISTRIBUTE": "split list",
    "UNION": "union list",
    "BROADCAST": "broadcast",
}
_SHORTEST_ID_PREFIX: Final = 4


@final
@dataclass(frozen=True, slots=True)
class StoredState:
    """One state of an operator, as the snapshot describes it.

    Attributes:
        name: the user's name, or `event timers` and `processing timers`.
        kind: VALUE, LIST, MAP, REDUCING, AGGREGATING, timers, split list, union list, broadcast.
            Flink does not record which Python kind is behind a LIST: value, reducing and
            aggregating states are lists to it.
        types: the declared types as text where Millpond recorded them, else the Java serializer.
        namespace: kind of its namespaces: void, or that of a window.
        ttl: whether it has a time to live.
        meta: the entry in the header of the stream.
    """

    name: str
    kind: str
    types: str
    namespace: str
    ttl: bool
    meta: StateMeta


@final
@dataclass(frozen=True, slots=True)
class OperatorContent:
    """One operator: its states, and the serializer of its keys (None without keyed state)."""

    operator: OperatorState
    key_serializer: SerializerSnapshot | None
    states: tuple[StoredState, ...]

    @property
    def operator_id(self) -> str:
        """The id as hexadecimal text."""
        return self.operator.operator_id.hex()

    @property
    def label(self) -> str:
        """The uid, else the name, else the id."""
        return self.operator.uid or self.operator.name or self.operator_id


@final
class Savepoint:
    """A snapshot and its operators. Nothing of it is executed, and data are read as they are used.

    Used by one thread.
    """

    def __init__(self, loaded: LoadedCheckpoint) -> None:
        self.loaded = loaded
        self._reader = loaded.reader

    @classmethod
    def open(cls, path: str) -> Savepoint:
        """Open the snapshot in a directory, or by its `_metadata` file.

        Raises:
            CheckpointNotFoundError: there is none.
            SnapshotCorruptedError: its metadata are damaged, or files are missing.
            CheckpointStorageError: it cannot be read.
        """
        return cls(load_checkpoint(path))

    def open_stream(self, handle: StreamHandle) -> BinaryIO:
        """Open one of its streams, verified. Raises SnapshotCorruptedError."""
        return self._reader.open(handle)

    @property
    def has_checksums(self) -> bool:
        """Whether checksums vouch for the streams; else their entries must be examined."""
        return self._reader.has_checksums

    @property
    def operators(self) -> Sequence[OperatorState]:
        """All operators, in the order of the metadata."""
        return self.loaded.metadata.operators

    def select(self, wanted: Sequence[str] = ()) -> list[OperatorState]:
        """Return operators by uid, name, id, or beginning of the id; all if none is asked for.

        Raises:
            SavepointMismatchError: there is no such operator.
        """
        if not wanted:
            return list(self.operators)
        chosen = [operator for operator in self.operators if _is_one_of(operator, wanted)]
        for text in wanted:
            if not any(_is_one_of(operator, (text,)) for operator in chosen):
                known = ", ".join(
                    operator.uid or operator.name or operator.operator_id.hex()
                    for operator in self.operators
                )
                raise SavepointMismatchError(
                    f"The snapshot has no operator {text!r}.",
                    hint=f"It has: {known}. Operators are found by uid, name or id.",
                    path=self.loaded.external_path,
                )
        return chosen

    def describe(self, operator: OperatorState) -> OperatorContent:
        """Read the headers of an operator's streams.

        Raises:
            FormatError: a stream is damaged, or of a kind that cannot be read.
        """
        key_serializer: SerializerSnapshot | None = None
        states: dict[str, StoredState] = {}
        for subtask in operator.subtasks.values():
            for handle in subtask.keyed:
                header = self._header(handle, operator.max_parallelism)
                if header.states:
                    key_serializer = header.key_serializer
                for meta in header.states:
                    states.setdefault(meta.name, _stored_state(meta))
        for _, content in read_operator_content(operator, self.open_stream):
            for meta in (*content.header.lists, *content.header.broadcasts):
                states.setdefault(meta.name, _stored_state(meta))
        return OperatorContent(operator, key_serializer, tuple(states.values()))

    def _header(self, handle: KeyedHandle, max_parallelism: int) -> KeyedHeader:
        with contextlib.ExitStack() as streams:

            def opened(stream: StreamHandle) -> BinaryIO:
                return streams.enter_context(self.open_stream(stream))

            return open_keyed_state(handle, opened, max_parallelism, check=False).header

    @property
    def kind(self) -> str:
        """What its keyed state is made of: canonical, heap layout or RocksDB files."""
        kind = "canonical"
        for operator in self.operators:
            for subtask in operator.subtasks.values():
                for handle in subtask.keyed_managed:
                    if isinstance(handle, IncrementalHandle):
                        return "heap increments" if is_heap_increments(handle) else "RocksDB files"
                    if not handle.savepoint:
                        kind = "heap layout"
        return kind


def user_name(state_name: str) -> str:
    """Return the name that the user gave a state; timers get a name of their own."""
    timers = timer_service_of(state_name)
    if timers is not None:
        return f"{timers[1]} timers"
    return state_name.removeprefix(PYTHON_STATE_PREFIX)


def _is_one_of(operator: OperatorState, wanted: Sequence[str]) -> bool:
    identifier = operator.operator_id.hex()
    return any(
        text in {operator.uid, operator.name}
        or operator_id_of_uid(text) == operator.operator_id
        or (len(text) >= _SHORTEST_ID_PREFIX and identifier.startswith(text.lower()))
        for text in wanted
        if text
    )


def _stored_state(meta: StateMeta) -> StoredState:
    value = meta.serializers.get(VALUE_SERIALIZER)
    nested = () if value is None else value.nested
    ttl = any(one.class_name == classes.TTL for one in nested)
    name = user_name(meta.name)
    if meta.kind is StateMetaKind.PRIORITY_QUEUE:
        return StoredState(name, "timers", "", _namespace(nested[-1:]), ttl, meta)
    signature = meta.options.get(SIGNATURE, "")
    if meta.kind is StateMetaKind.KEY_VALUE:
        kind, types = signature.partition("<")[0], _inside(signature)
        namespace = meta.serializers.get(NAMESPACE_SERIALIZER)
        return StoredState(
            name,
            kind or meta.options.get(KEYED_STATE_TYPE, "unknown"),
            types or str(value),
            _namespace(() if namespace is None else (namespace,)),
            ttl or (value is not None and value.class_name == classes.TTL),
            meta,
        )
    kind = _OPERATOR_KINDS.get(meta.options.get(DISTRIBUTION_MODE, ""), "unknown")
    types = _inside(signature) or str(value)
    return StoredState(name, kind, types, "", ttl=False, meta=meta)


def _namespace(snapshots: Sequence[SerializerSnapshot]) -> str:
    for snapshot in snapshots:
        try:
            return namespace_kind(snapshot)
        except FormatError:
            return snapshot.class_name
    return "void"


def _inside(signature: str) -> str:
    """Return the types of a signature ``KIND<types>`` or ``KIND<types> WITH TTL``."""
    _, _, rest = signature.partition("<")
    return rest.removesuffix(" WITH TTL").removesuffix(">")


def total_bytes(operator: OperatorState) -> int:
    """Return how many bytes the state of an operator takes in the snapshot."""
    coordinator = operator.coordinator
    inline = coordinator.size if isinstance(coordinator, InlineHandle) else 0
    return inline + sum(subtask.size for subtask in operator.subtasks.values())
