"""The registry against a model: files are deleted once, and only when nothing uses them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from millpond.checkpoint.shared_registry import RestoreMode, SharedStateRegistry
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    OperatorState,
    SubtaskState,
)


def checkpoint(number, paths):
    shared = tuple((path, FileHandle(path, 1)) for path in sorted(paths))
    handle = IncrementalHandle(number, "id", 0, 128, InlineHandle(b"m"), shared, (), 0)
    operator = OperatorState(bytes(16), 1, 128, {0: SubtaskState(keyed_managed=(handle,))})
    return CheckpointMetadata(number, (operator,))


class RegistryMachine(RuleBasedStateMachine):
    """Checkpoints reuse any files of retained ones, complete, are subsumed and recovered."""

    def __init__(self):
        super().__init__()
        self.registry = SharedStateRegistry()
        self.retained = {}
        self.on_disk = set()
        self.deleted = set()
        self.protected = set()
        self.next_id = 1
        self.next_file = 0

    def new_files(self, count):
        names = {f"file-{self.next_file + index}" for index in range(count)}
        self.next_file += count
        self.on_disk |= names
        return names

    @initialize(mode=st.none() | st.sampled_from(RestoreMode), count=st.integers(0, 3))
    def start(self, mode, count):
        if mode is None:
            return
        self.next_id = 7
        files = self.new_files(count)
        self.registry.register_restored(checkpoint(6, files), {}, mode)
        self.retained[6] = files
        if mode is not RestoreMode.CLAIM:
            self.protected = set(files)

    @rule(data=st.data(), new=st.integers(0, 3))
    def complete(self, data, new):
        usable = sorted(set().union(*self.retained.values()))
        reused = set(data.draw(st.lists(st.sampled_from(usable)))) if usable else set()
        files = reused | self.new_files(new)
        self.registry.register(checkpoint(self.next_id, files), {})
        self.retained[self.next_id] = files
        self.next_id += 1

    @rule()
    def fail(self):
        # A checkpoint that failed used up its number and registered nothing.
        self.next_id += 1

    @rule(keep=st.integers(1, 3))
    def subsume(self, keep):
        for number in sorted(self.retained)[:-keep]:
            del self.retained[number]
        if self.retained:
            released = set(self.registry.release_unused(min(self.retained)))
            assert not released & self.deleted
            self.deleted |= released
            self.on_disk -= released

    @rule()
    def recover(self):
        if self.protected:
            return
        self.registry = SharedStateRegistry()
        for number in sorted(self.retained):
            self.registry.register(checkpoint(number, self.retained[number]), {})

    @invariant()
    def nothing_needed_is_deleted(self):
        for files in self.retained.values():
            assert files <= self.on_disk
        assert self.protected <= self.on_disk

    @invariant()
    def nothing_unneeded_is_forgotten(self):
        used = set().union(*self.retained.values())
        known = {file.handle.path for file in self.registry}
        assert used <= known
        assert known - used <= self.on_disk
        assert self.on_disk - self.protected <= known


TestSharedRegistry = RegistryMachine.TestCase
TestSharedRegistry.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
