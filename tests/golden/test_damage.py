"""A damaged snapshot of Flink is a named error, or differs in what docs/formats/damage.md lists.

Sampled in CI; `--run-nightly` goes over every byte of every golden snapshot, sealed and not.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import random
from pathlib import Path

import pytest

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.sealing import seal_snapshot
from millpond.checkpoint.verification import verify_checkpoint
from millpond.errors import FormatError, SnapshotCorruptedError
from millpond.formats.handles import (
    CheckpointMetadata,
    IncrementalHandle,
    InlineHandle,
    KeyGroupsHandle,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.formats.metadata import read_metadata
from millpond.formats.savepoint_content import (
    TimerEntry,
    read_keyed_content,
    read_operator_content,
)

FLINK = Path(__file__).parent / "flink"
RECORDED_ROOT = "file:/flink/savepoints/"
FIXTURES = sorted(path.name for path in FLINK.iterdir() if path.is_dir())
SAMPLES = 60
DOCUMENTED = {
    "error",
    "equal",
    "checkpoint id",
    "class of a tuple",
    "name of a state",
    "operator's coordinator",
    "operator's max_parallelism",
    "operator's name",
    "operator's operator_id",
    "operator's parallelism",
    "operator's subtasks",
    "subtask of operator state",
    "value of domain",
    "value of key",
    "value of namespace",
    "value of operator state",
    "value of service",
    "value of timestamp",
    "value of user_key",
    "value of value",
}


class Files:
    """The files of a fixture, one of which may be damaged."""

    def __init__(self, folder: Path) -> None:
        (self.metadata,) = folder.rglob("_metadata")
        self.root = folder.parent
        self.directory = self.metadata.parent
        self.names = [self.metadata]
        self.data = {self.metadata: self.metadata.read_bytes()}
        for operator in read_metadata(self.data[self.metadata]).operators:
            for subtask in operator.subtasks.values():
                for handle in (*subtask.keyed_managed, *subtask.keyed_raw):
                    if isinstance(handle, IncrementalHandle):
                        files = (*handle.shared, *handle.private)
                        self.load([handle.meta, *(f for n, f in files if "OPTIONS" not in n)])
                    else:
                        self.load([handle.stream])
                if subtask.operator_managed is not None:
                    self.load([subtask.operator_managed.stream])

    def load(self, handles) -> None:
        for handle in handles:
            if not isinstance(handle, InlineHandle):
                path = self.path(handle)
                self.names.append(path)
                packed = Path(f"{path}.gz")
                self.data[path] = (
                    gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
                )

    def path(self, handle) -> Path:
        if isinstance(handle, RelativeFileHandle):
            return self.directory / handle.name
        return self.root / handle.path.removeprefix(RECORDED_ROOT)

    def content(self, name: Path, damaged: bytes):
        """Everything in the snapshot, with one file replaced."""

        def open_stream(handle):
            if isinstance(handle, InlineHandle):
                return io.BytesIO(handle.data)
            path = self.path(handle)
            data = damaged if path == name else self.data.get(path)
            if data is None or len(data) != handle.size:
                # What a storage does for a path or a length that a flipped byte made up.
                raise FormatError("There is no such file.", offset=0, file=str(path))
            return io.BytesIO(data)

        metadata = read_metadata(damaged if name == self.metadata else self.data[self.metadata])
        found = []
        for operator in metadata.operators:
            found.extend(read_keyed_content(operator, open_stream))
            found.extend(read_operator_content(operator, open_stream))
        return metadata, found


def explained(intact, damaged) -> str:
    """Which of the documented kinds of difference two contents have; fails on any other."""
    (metadata, entries), (other_metadata, other_entries) = intact, damaged
    kinds = set()
    if plain(metadata) != plain(other_metadata):
        kinds.add(difference_of_metadata(plain(metadata), plain(other_metadata)))
    assert len(entries) == len(other_entries), "entries came or went"
    pairs = [
        (one, other) for one, other in zip(entries, other_entries, strict=True) if one != other
    ]
    kinds |= {difference_of_entries(one, other) for one, other in pairs}
    if "value" in str(kinds):
        assert len(pairs) == 1, "one byte changed several values"
    # Two kinds at once only where one byte stands for both: a broadcast element's header.
    assert len(kinds) <= 1, kinds
    return kinds.pop() if kinds else "equal"


def plain(metadata: CheckpointMetadata) -> CheckpointMetadata:
    """The metadata without the bytes of state, which are compared as entries, and properties."""

    def stream(handle):
        return InlineHandle(b"") if isinstance(handle, InlineHandle) else handle

    def keyed(handle):
        if isinstance(handle, KeyGroupsHandle):
            # Which layout the body has is told by the body, if the handle does not say.
            return dataclasses.replace(handle, stream=stream(handle.stream), savepoint=False)
        # Ids of handles, and what a checkpoint wrote itself, say nothing about the state. Nobody
        # reads CURRENT and OPTIONS; what is in the other files is compared as entries.
        return dataclasses.replace(
            handle,
            checkpoint_id=0,
            backend_id="",
            checkpointed_size=0,
            meta=stream(handle.meta),
            shared=(),
            private=(),
        )

    def subtask(state: SubtaskState) -> SubtaskState:
        managed = state.operator_managed
        if managed is not None:
            managed = dataclasses.replace(managed, stream=stream(managed.stream))
        return dataclasses.replace(
            state,
            operator_managed=managed,
            keyed_managed=tuple(map(keyed, state.keyed_managed)),
            keyed_raw=tuple(map(keyed, state.keyed_raw)),
        )

    operators = tuple(
        dataclasses.replace(
            operator, subtasks={i: subtask(each) for i, each in operator.subtasks.items()}
        )
        for operator in metadata.operators
    )
    return dataclasses.replace(metadata, operators=operators, properties=b"")


def difference_of_metadata(one: CheckpointMetadata, other: CheckpointMetadata) -> str:
    if dataclasses.replace(other, checkpoint_id=one.checkpoint_id) == one:
        return "checkpoint id"
    assert dataclasses.replace(other, operators=one.operators) == one
    ((ours, theirs),) = (
        pair for pair in zip(one.operators, other.operators, strict=True) if pair[0] != pair[1]
    )
    keyed = any(each.keyed_managed or each.keyed_raw for each in ours.subtasks.values())
    for field in dataclasses.fields(ours):
        value = getattr(ours, field.name)
        if dataclasses.replace(theirs, **{field.name: value}) == ours:
            allowed = {"name", "coordinator"}
            if not ours.uid:
                allowed |= {"operator_id"}
            if not keyed:
                allowed |= {"parallelism", "max_parallelism", "subtasks"}
            if field.name == "subtasks" and keyed:
                # A subtask's operator state may be missing altogether, never changed.
                raise AssertionError(f"a subtask changed: {ours.subtasks} {theirs.subtasks}")
            assert field.name in allowed, field.name
            return f"operator's {field.name}"
    raise AssertionError("several things changed")


def difference_of_entries(one, other) -> str:
    if isinstance(one, tuple) and isinstance(one[0], int):
        return difference_of_operator_state(one, other)
    assert type(one) is type(other)
    if one.state != other.state:
        same = {"state": other.state}
        if isinstance(one, TimerEntry):
            same |= {"service": other.service, "domain": other.domain}
        assert one._replace(**same) == other
        if one.state.serializers != other.state.serializers:
            assert one.state.name == other.state.name
            return "class of a tuple"
        return "name of a state"
    (field,) = (name for name in one._fields if getattr(one, name) != getattr(other, name))
    allowed = {"key", "namespace"}
    allowed |= (
        {"timestamp", "service", "domain"} if isinstance(one, TimerEntry) else {"user_key", "value"}
    )
    assert field in allowed
    ours, theirs = getattr(one, field), getattr(other, field)
    if isinstance(ours, bytes):
        assert differing_bytes(ours, theirs) == 1
    return f"value of {field}"


def difference_of_operator_state(one, other) -> str:
    (subtask, ours), (other_subtask, theirs) = one, other
    if subtask != other_subtask:
        return "subtask of operator state"
    if ours.header != theirs.header:
        assert list(ours.lists.values()) == list(theirs.lists.values())
        assert list(ours.broadcasts.values()) == list(theirs.broadcasts.values())
        return "name of a state"
    assert ours.lists.keys() == theirs.lists.keys()
    flat = [
        [
            *(each for elements in content.lists.values() for each in elements),
            *(each for entries in content.broadcasts.values() for pair in entries for each in pair),
        ]
        for content in (ours, theirs)
    ]
    changed = [pair for pair in zip(*flat, strict=True) if pair[0] != pair[1]]
    assert sum(differing_bytes(*pair) for pair in changed) == 1
    return "value of operator state"


def differing_bytes(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True))


def check(files: Files, name: Path, damaged: bytes, intact) -> str:
    try:
        found = files.content(name, damaged)
    except FormatError as error:
        return "error" if says_where(error) else "error without a place"
    return explained(intact, found)


def says_where(error: BaseException | None) -> bool:
    while isinstance(error, FormatError):
        if "offset" in error.context:
            return True
        error = error.__cause__
    return False


@pytest.mark.parametrize("fixture", FIXTURES)
def test_damage_is_noticed_or_documented(fixture):
    files = Files(FLINK / fixture)
    chance = random.Random(fixture)
    for name in files.names:
        data = files.data[name]
        intact = files.content(name, data)
        assert intact[1]
        for _ in range(SAMPLES if name == files.metadata else SAMPLES // 10):
            at = chance.randrange(len(data))
            flipped = bytearray(data)
            flipped[at] ^= 1 << chance.randrange(8)
            assert check(files, name, bytes(flipped), intact) in DOCUMENTED
            # Only the properties, which hold no state, may be cut off.
            assert check(files, name, data[:at], intact) in {"error", "equal"}


@pytest.mark.nightly
@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_byte_is_noticed_or_documented(fixture, request):
    if not request.config.getoption("--run-nightly", default=False):
        pytest.skip("takes minutes; runs with --run-nightly")
    files = Files(FLINK / fixture)
    for name in files.names:
        data = files.data[name]
        intact = files.content(name, data)
        for at in range(len(data)):
            for bit in (0x01, 0x80, 0xFF):
                flipped = bytearray(data)
                flipped[at] ^= bit
                assert check(files, name, bytes(flipped), intact) in DOCUMENTED
            assert check(files, name, data[:at], intact) in {"error", "equal"}


def damaged_copies(data: bytes, places):
    for at in places:
        flipped = bytearray(data)
        flipped[at] ^= 0x10
        yield bytes(flipped)
        yield data[:at]
    yield data + b"\0"


def check_sealed(path: Path, places) -> None:
    """Every damage of a file, with the seal beside it, is a named error."""
    data = path.read_bytes()
    root = path
    while not (root / "_checksums").exists():
        root = root.parent
        if (found := list(root.rglob("_checksums"))) != []:
            root = found[0].parent
    for damaged in damaged_copies(data, places):
        path.write_bytes(damaged)
        try:
            report = verify_checkpoint(root.as_uri())
        finally:
            path.write_bytes(data)
        assert report.errors
        assert all(isinstance(error, SnapshotCorruptedError) for error in report.errors)


def sealed_files(flink_snapshots, folder):
    path = Path(flink_snapshots[folder][0])
    loaded = load_checkpoint(path.as_uri())
    if loaded.source.checksums is None:
        seal_snapshot(path.as_uri())
    files = [path / "_metadata", path / "_checksums"]
    for name in load_checkpoint(path.as_uri()).source.checksums:
        file = path / name if "/" not in name else path.parent / "shared" / Path(name).name
        if file.exists() and file not in files:
            files.append(file)
    return files


@pytest.mark.parametrize("folder", FIXTURES)
def test_every_damage_of_sealed_snapshots_is_noticed(flink_snapshots, folder):
    chance = random.Random(folder)
    for path in sealed_files(flink_snapshots, folder):
        size = path.stat().st_size
        check_sealed(path, [chance.randrange(size) for _ in range(3)] if size else ())


@pytest.mark.nightly
@pytest.mark.parametrize("folder", FIXTURES)
def test_every_byte_of_sealed_snapshots_is_noticed(flink_snapshots, folder, request):
    if not request.config.getoption("--run-nightly", default=False):
        pytest.skip("takes minutes; runs with --run-nightly")
    for path in sealed_files(flink_snapshots, folder):
        check_sealed(path, range(path.stat().st_size))
