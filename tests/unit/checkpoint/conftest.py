"""Checkpoints as tests write them: one operator, two subtasks, every kind of handle."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from millpond.checkpoint.completed_store import CompletedCheckpointStore
from millpond.checkpoint.storage import FileSystemCheckpointStorage
from millpond.checkpoint.stream_walk import streams_of
from millpond.filesystem import get_file_system
from millpond.formats.handles import (
    CheckpointMetadata,
    DistributionMode,
    IncrementalHandle,
    KeyGroupsHandle,
    OperatorState,
    OperatorStateHandle,
    OperatorStatePartition,
    SubtaskState,
)
from millpond.state.contract.snapshot import SnapshotScope

JOB_ID = "0123456789abcdef0123456789abcdef"
OPERATOR_ID = bytes(range(16))


def content(checkpoint_id, size):
    return Random(checkpoint_id).randbytes(size)


@dataclass
class Job:
    """Writes checkpoints as tasks and job manager do together.

    Each checkpoint holds a small inline stream, a private file of 300 bytes and one new shared
    file; it refers to the shared files of the two checkpoints before it, as compaction leaves them.
    """

    root: str
    resolve: object = get_file_system
    retained: int = 1
    job_id: str = JOB_ID
    shared: dict = field(default_factory=dict)

    def __post_init__(self):
        self.storage = FileSystemCheckpointStorage(
            self.root,
            self.job_id,
            inline_threshold_bytes=100,
            write_buffer_bytes=64,
            resolve=self.resolve,
            random=Random(7),
        )
        self.random = Random(hash(self.root) & 0xFFFF)
        self.store = CompletedCheckpointStore(
            self.storage, retained=self.retained, resolve=self.resolve
        )

    def streams(self, location):
        return location.streams(resolve=self.resolve, random=self.random)

    def write(self, location, shared_ids):
        """Play two subtasks; return metadata and checksums."""
        number = location.checkpoint_id
        first, second = self.streams(location), self.streams(location)
        inline = first.open(SnapshotScope.EXCLUSIVE)
        inline.write(content(number, 50))
        operator = OperatorStateHandle(
            {"offsets": OperatorStatePartition(DistributionMode.SPLIT, (0, 25))}, inline.finish()
        )
        private = first.open(SnapshotScope.EXCLUSIVE)
        for part in range(3):
            private.write(content(number, 300)[part * 100 : part * 100 + 100])
        keyed = KeyGroupsHandle(0, tuple(range(64)), private.finish())
        new = second.open(SnapshotScope.SHARED)
        new.write(content(number + 1000, 200))
        self.shared[number] = new.finish()
        meta = second.open(SnapshotScope.EXCLUSIVE)
        meta.write(content(number, 120))
        files = tuple((f"{one:06}.sst", self.shared[one]) for one in (*shared_ids, number))
        incremental = IncrementalHandle(
            number, "5f0fdc30-0000-4000-8000-000000000000", 64, 64, meta.finish(), files, (), 320
        )
        subtasks = {
            0: SubtaskState(operator_managed=operator, keyed_managed=(keyed,)),
            1: SubtaskState(keyed_managed=(incremental,)),
        }
        metadata = CheckpointMetadata(number, (OperatorState(OPERATOR_ID, 2, 128, subtasks),))
        return metadata, {**first.checksums, **second.checksums}

    def checkpoint(self, number):
        """Take a checkpoint from beginning to end."""
        location = self.storage.location(number)
        reused = [one for one in (number - 2, number - 1) if one in self.shared]
        metadata, checksums = self.write(location, reused)
        return self.store.complete(location, metadata, checksums)


def read_all(reader, metadata):
    """Return the content of every stream, which verifies all of them."""
    contents = []
    for handle in streams_of(metadata):
        with reader.open(handle) as stream:
            contents.append(stream.read())
    return contents


def expected_contents(number, oldest):
    """Return what `read_all` must give for a checkpoint of `Job`."""
    shared = [one for one in (number - 2, number - 1, number) if one >= oldest]
    return [
        content(number, 50),
        content(number, 300),
        content(number, 120),
        *(content(one + 1000, 200) for one in shared),
    ]


@pytest.fixture
def make_job(tmp_path):
    def make(root=None, **options):
        one = Job(str(root or tmp_path / "checkpoints"), **options)
        one.storage.initialize()
        return one

    return make


@pytest.fixture
def job(make_job):
    return make_job()


@pytest.fixture(name="read_all")
def read_all_fixture():
    return read_all


@pytest.fixture(name="expected_contents")
def expected_contents_fixture():
    return expected_contents
