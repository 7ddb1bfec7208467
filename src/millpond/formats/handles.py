"""Handles: where the bytes of a snapshot are and what they hold.

The values that a task sends to the job manager and that `_metadata` lists. They mirror Flink's
handles one to one; `formats.metadata` reads and writes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = (
    "CheckpointMetadata",
    "DistributionMode",
    "FileHandle",
    "IncrementalHandle",
    "InlineHandle",
    "KeyGroupsHandle",
    "KeyedHandle",
    "MasterState",
    "OperatorState",
    "OperatorStateHandle",
    "OperatorStatePartition",
    "RelativeFileHandle",
    "StreamHandle",
    "SubtaskState",
)


@dataclass(frozen=True, slots=True)
class InlineHandle:
    """Bytes held in the handle itself."""

    data: bytes
    name: str = ""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class FileHandle:
    """A file named by an absolute path or URL."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class RelativeFileHandle:
    """A file beside `_metadata`, so that the directory may be moved."""

    name: str
    size: int


StreamHandle = InlineHandle | FileHandle | RelativeFileHandle


@dataclass(frozen=True, slots=True)
class KeyGroupsHandle:
    """Keyed state of consecutive key groups in one stream.

    `offsets[i]` is where key group `first_key_group + i` starts; 0 means no data (canonical).
    `savepoint` marks Flink's type 7 (canonical layout); else the stream is in the heap layout.
    `raw` marks raw keyed state, which has a layout of its own: timers (`formats.raw_timers`).
    """

    first_key_group: int
    offsets: tuple[int, ...]
    stream: StreamHandle
    savepoint: bool = True
    raw: bool = False

    @property
    def last_key_group(self) -> int:
        """The last key group, inclusive."""
        return self.first_key_group + len(self.offsets) - 1

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.stream.size


@dataclass(frozen=True, slots=True)
class IncrementalHandle:
    """RocksDB files of consecutive key groups: shared ones are reused by later checkpoints.

    `shared` and `private` list (local file name, handle). `checkpointed_size` counts only the
    bytes that this checkpoint uploaded.
    """

    checkpoint_id: int
    backend_id: str
    first_key_group: int
    key_group_count: int
    meta: StreamHandle
    shared: tuple[tuple[str, StreamHandle], ...]
    private: tuple[tuple[str, StreamHandle], ...]
    checkpointed_size: int

    @property
    def last_key_group(self) -> int:
        """The last key group, inclusive."""
        return self.first_key_group + self.key_group_count - 1

    @property
    def size(self) -> int:
        """Length in bytes of all files, reused ones included."""
        files = (*self.shared, *self.private)
        return self.meta.size + sum(handle.size for _, handle in files)


KeyedHandle = KeyGroupsHandle | IncrementalHandle


class DistributionMode(enum.IntEnum):
    """How the elements of an operator state are dealt to subtasks when it is restored."""

    SPLIT = 0
    UNION = 1
    BROADCAST = 2


@dataclass(frozen=True, slots=True)
class OperatorStatePartition:
    """Where the elements of one named operator state start in the stream."""

    mode: DistributionMode
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OperatorStateHandle:
    """All operator states of one subtask in one stream."""

    partitions: dict[str, OperatorStatePartition]
    stream: StreamHandle

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.stream.size


@dataclass(frozen=True, slots=True)
class SubtaskState:
    """What one subtask of one operator put into a snapshot.

    Flink writes at most one handle of each kind per subtask; keyed state of a restored, rescaled
    subtask may be several, hence tuples. `keyed_raw` are timers that Flink kept on the heap beside
    RocksDB state. `finished` marks a subtask that had already ended.
    """

    operator_managed: OperatorStateHandle | None = None
    operator_raw: OperatorStateHandle | None = None
    keyed_managed: tuple[KeyedHandle, ...] = ()
    keyed_raw: tuple[KeyGroupsHandle, ...] = ()
    finished: bool = False

    @property
    def keyed(self) -> tuple[KeyedHandle, ...]:
        """All keyed state: `formats.keyed_state` opens managed and raw handles alike."""
        return (*self.keyed_managed, *self.keyed_raw)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written."""
        return not (
            self.operator_managed or self.operator_raw or self.keyed_managed or self.keyed_raw
        )

    @property
    def size(self) -> int:
        """Full state size in bytes, reused files included."""
        operator = sum(h.size for h in (self.operator_managed, self.operator_raw) if h is not None)
        return operator + sum(h.size for h in self.keyed)

    @property
    def checkpointed_size(self) -> int:
        """Bytes that this snapshot wrote, reused files not included."""
        operator = sum(h.size for h in (self.operator_managed, self.operator_raw) if h is not None)
        return operator + sum(
            h.checkpointed_size if isinstance(h, IncrementalHandle) else h.size for h in self.keyed
        )


@dataclass(frozen=True, slots=True)
class OperatorState:
    """All subtasks of one operator in a snapshot.

    `operator_id` is 16 bytes. `subtasks` maps subtask index to its state; a missing index had
    none. `name` and `uid` are empty where the file does not hold them (before version 5).
    """

    operator_id: bytes
    parallelism: int
    max_parallelism: int
    subtasks: dict[int, SubtaskState]
    coordinator: InlineHandle | None = None
    fully_finished: bool = False
    name: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class MasterState:
    """State of a master hook."""

    name: str
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CheckpointMetadata:
    """The content of `_metadata`."""

    checkpoint_id: int
    operators: tuple[OperatorState, ...]
    master_states: tuple[MasterState, ...] = ()
    properties: bytes = field(default=b"", repr=False)
    version: int = 3
