"""`IncrementalSnapshot`: RocksDB's files at a barrier; only new ones are uploaded.

The rules are Flink's (RocksIncrementalSnapshotStrategy): sorted files are shared between
checkpoints, all others belong to one; only checkpoints that are confirmed complete serve as base.
"""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Final, final

from millpond.errors import CheckpointDeclinedError
from millpond.formats.handles import IncrementalHandle, KeyedHandle, StreamHandle
from millpond.state.contract.snapshot import Snapshot, SnapshotScope
from millpond.state.rocksdb.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from millpond.state.contract.key_group import KeyGroupRange
    from millpond.state.contract.snapshot import SnapshotStreams
    from millpond.state.rocksdb.deferred_links import DeferredLinks

__all__ = ("IncrementalSnapshot", "UploadedFiles")

_LOCAL_ONLY: Final = frozenset({"LOCK", "LOG", "IDENTITY", "rocksdict-config.json"})


@final
class UploadedFiles:
    """The shared files of this backend's checkpoints, by local name.

    Attributes:
        backend_id: names the backend's files; kept when it is restored with the same key groups.
        confirmed: files of the last complete checkpoint: they need not be uploaded again.
    """

    def __init__(self, backend_id: str, restored: Mapping[str, StreamHandle]) -> None:
        self.backend_id = backend_id
        self.confirmed: Mapping[str, StreamHandle] = dict(restored)
        self._confirmed_id = -1
        self._pending: dict[int, dict[str, StreamHandle]] = {}
        self._lock = threading.Lock()

    def written(self, checkpoint_id: int, files: dict[str, StreamHandle]) -> None:
        """Remember what a checkpoint consists of, until it is complete or aborted."""
        with self._lock:
            self._pending[checkpoint_id] = files

    def complete(self, checkpoint_id: int) -> None:
        """Make a complete checkpoint the base of the next ones."""
        with self._lock:
            files = self._pending.get(checkpoint_id)
            if files is not None and checkpoint_id > self._confirmed_id:
                self.confirmed = files
                self._confirmed_id = checkpoint_id
            for older in [number for number in self._pending if number <= checkpoint_id]:
                del self._pending[older]

    def abort(self, checkpoint_id: int) -> None:
        """Forget a checkpoint that was given up."""
        with self._lock:
            self._pending.pop(checkpoint_id, None)


@final
class IncrementalSnapshot(Snapshot[KeyedHandle | None]):
    """A directory of hard links to the files of the barrier, removed by `release`."""

    def __init__(
        self,
        directory: Path,
        links: DeferredLinks,
        header: bytes,
        key_groups: KeyGroupRange,
        uploaded: UploadedFiles,
        streams: SnapshotStreams,
        checkpoint_id: int,
        operator_name: str,
        threads: int,
        *,
        self_contained_id: str | None = None,
    ) -> None:
        """Make the snapshot.

        `header` is the content of the meta stream. With `self_contained_id`, as for native
        savepoints, all files are uploaded for this snapshot alone, under that backend id.
        """
        self._directory = directory
        self._links = links
        self._header = header
        self._key_groups = key_groups
        self._uploaded = uploaded
        self._streams = streams
        self._checkpoint_id = checkpoint_id
        self._operator_name = operator_name
        self._threads = threads
        self._self_contained_id = self_contained_id
        self._base = {} if self_contained_id is not None else dict(uploaded.confirmed)
        self._cancelled = threading.Event()

    def write(self) -> KeyedHandle:
        """Upload the files that no confirmed checkpoint has, and the meta stream."""
        self._check_cancelled()
        self._links.make()
        # A cancellation may have been what kept the links from being made.
        self._check_cancelled()
        names = sorted(path.name for path in self._directory.iterdir())
        sorted_files = [name for name in names if name.endswith(".sst")]
        others = [
            name
            for name in names
            if not name.endswith((".sst", ".log")) and name not in _LOCAL_ONLY
        ]
        new = [name for name in sorted_files if name not in self._base]
        alone = self._self_contained_id is not None
        shared_scope = SnapshotScope.EXCLUSIVE if alone else SnapshotScope.SHARED
        uploads = [(name, shared_scope) for name in new]
        uploads += [(name, SnapshotScope.EXCLUSIVE) for name in others]
        handles = dict(
            zip(
                [name for name, _ in uploads],
                transfer(self._upload, uploads, self._threads),
                strict=True,
            )
        )
        self._check_cancelled()
        meta = self._write_meta()
        shared = {name: handles.get(name) or self._base[name] for name in sorted_files}
        if not alone:
            self._uploaded.written(self._checkpoint_id, shared)
        return IncrementalHandle(
            checkpoint_id=self._checkpoint_id,
            backend_id=self._self_contained_id or self._uploaded.backend_id,
            first_key_group=self._key_groups.start,
            key_group_count=self._key_groups.count,
            meta=meta,
            shared=tuple(shared.items()),
            private=tuple((name, handles[name]) for name in others),
            checkpointed_size=meta.size + sum(handle.size for handle in handles.values()),
        )

    def _upload(self, item: tuple[str, SnapshotScope]) -> StreamHandle:
        self._check_cancelled()
        name, scope = item
        return self._streams.upload(self._directory / name, scope)

    def _write_meta(self) -> StreamHandle:
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            out.write(self._header)
            handle = out.finish()
        except BaseException:
            out.abort()
            raise
        assert handle is not None
        return handle

    def cancel(self) -> None:
        """Make `write` stop before its next file."""
        self._cancelled.set()
        self._links.cancel()

    @property
    def stopped_seconds(self) -> float:
        """How long writes waited for the links."""
        return self._links.waited_seconds

    def release(self) -> None:
        """Remove the hard links."""
        self._links.cancel()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CheckpointDeclinedError(
                "The snapshot of RocksDB state was cancelled.",
                operator=self._operator_name,
                checkpoint=self._checkpoint_id,
            )
