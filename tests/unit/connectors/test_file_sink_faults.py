"""`FileSink` crashed at every single file operation, and recovered: every record exactly once.

The test plays the engine: it deals records to the writers of all subtasks, takes checkpoints, makes
them durable, commits, and after a crash starts again from the last durable checkpoint.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from millpond.clock import ManualClock
from millpond.datastream.connectors._file_sink.storage import LocalPartStorage, OpenPart
from millpond.datastream.connectors.file_system import (
    FileCompactor,
    FileCompactStrategy,
    FileSink,
    RollingPolicy,
)
from millpond.datastream.connectors.sink import SinkWriterContext
from millpond.filesystem import LocalFileSystem

RECORDS = [f"record-{number}" for number in range(18)]
BATCH = 2
BATCHES_A_CHECKPOINT = 3


class Crash(BaseException):
    """The process dies here; nothing may catch it."""


class Countdown:
    """Crashes before or after the operation of a given number."""

    def __init__(self, operation, *, after):
        self.left, self.after, self.parts = operation, after, []

    def run(self, action):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        result = action()
        if self.left == 0:
            raise Crash
        return result

    def die(self, *, power_cut):
        """Lose what only the process (or, in a power cut, the kernel) held."""
        for part in self.parts:
            part.die(power_cut=power_cut)
        self.parts.clear()


class FaultyPart(OpenPart):
    def __init__(self, inner, path, countdown):
        self.inner, self.path, self.countdown = inner, path, countdown
        self.synced = Path(path).stat().st_size
        countdown.parts.append(self)

    def write(self, data):
        if self.countdown.left == 1 and self.countdown.after:
            self.inner.write(data[: len(data) // 2])  # a torn write
            raise Crash
        self.countdown.run(lambda: self.inner.write(data))

    def sync(self):
        self.countdown.run(self.inner.sync)
        self.synced = Path(self.path).stat().st_size

    def finish(self):
        self.countdown.run(self.inner.finish)
        self.synced = Path(self.path).stat().st_size

    def abandon(self):
        self.inner.abandon()

    def die(self, *, power_cut):
        file = self.inner._file
        if not file.closed:
            if power_cut:
                file.flush()
                os.truncate(file.fileno(), self.synced)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, file.fileno())  # buffered bytes go nowhere, as with SIGKILL
            os.close(null)
            file.close()


class FaultyStorage(LocalPartStorage):
    def __init__(self, countdown):
        super().__init__(LocalFileSystem(sync=False))
        self.countdown = countdown

    def make_directories(self, path):
        self.countdown.run(lambda: super(FaultyStorage, self).make_directories(path))

    def create(self, path):
        create = super().create
        return self.countdown.run(lambda: FaultyPart(create(path), path, self.countdown))

    def resume(self, path, length):
        resume = super().resume
        return self.countdown.run(lambda: FaultyPart(resume(path, length), path, self.countdown))

    def rename(self, source, target):
        assert not Path(target).exists(), "a visible part would be overwritten"
        self.countdown.run(lambda: super(FaultyStorage, self).rename(source, target))

    def delete(self, path):
        self.countdown.run(lambda: super(FaultyStorage, self).delete(path))

    def sync_directory(self, path):
        self.countdown.run(lambda: super(FaultyStorage, self).sync_directory(path))


@dataclass
class Durable:
    """The last complete checkpoint."""

    checkpoint_id: int | None = None
    offset: int = 0
    elements: list = field(default_factory=list)
    committables: list = field(default_factory=list)


class Engine:
    def __init__(self, directory, policy, parallelisms, compaction=None):
        self.directory, self.policy, self.parallelisms = directory, policy, parallelisms
        self.compaction = compaction
        self.durable = Durable()
        self.attempt = 0
        self.names = 0

    def new_name(self):
        self.names += 1
        return f"n{self.names}"

    def run(self, countdown):
        """Run from the last checkpoint to the end of the input; raises Crash."""
        builder = FileSink.for_row_format(
            self.directory, lambda value: f"{value}\n".encode()
        ).with_rolling_policy(self.policy)
        if self.compaction is not None:
            builder.enable_compact(self.compaction, FileCompactor.concat_file_compactor())
        sink = builder.build()
        storage = FaultyStorage(countdown)
        sink._open_storage = lambda url: (storage, str(url))
        sink._new_name = self.new_name
        durable = self.durable
        parallelism = self.parallelisms[min(self.attempt, len(self.parallelisms) - 1)]
        clock = ManualClock(1_000_000)
        # Another parallelism means another run of the program, and so another job.
        job = f"job{parallelism}"
        writers = [
            sink.create_writer(
                SinkWriterContext(
                    job, index, parallelism, self.attempt, clock, durable.checkpoint_id, True
                ),
                durable.elements[index::parallelism],
            )
            for index in range(parallelism)
        ]
        sink.commit(durable.committables)
        offset = durable.offset
        batches = 0
        while offset < len(RECORDS):
            writers[batches % parallelism].write(RECORDS[offset : offset + BATCH], None)
            offset += BATCH
            batches += 1
            clock.advance(10_000)
            if batches % BATCHES_A_CHECKPOINT == 0:
                self.checkpoint(sink, writers, offset, countdown, end=False)
        self.checkpoint(sink, writers, offset, countdown, end=True)
        for writer in writers:
            writer.close()

    def checkpoint(self, sink, writers, offset, countdown, *, end):
        committables, elements = [], []
        number = (self.durable.checkpoint_id or 0) + 1
        for writer in writers:
            committables += writer.prepare_commit(end_of_input=end)
            elements += writer.snapshot(number)
        countdown.run(lambda: None)  # the moment before the checkpoint is durable
        self.durable = Durable(number, offset, elements, committables)
        countdown.run(lambda: None)  # the moment before it is announced
        sink.commit(committables)


def visible(directory):
    files = [path for path in Path(directory).rglob("*") if path.is_file()]
    return [
        line
        for path in sorted(files)
        if not path.name.startswith(".")
        for line in path.read_text().splitlines()
    ]


def hidden(directory):
    return [path.name for path in Path(directory).rglob(".*") if path.is_file()]


POLICIES = {
    "on checkpoint": RollingPolicy.on_checkpoint_rolling_policy(),
    "resumed": RollingPolicy.default_rolling_policy(),
    "small": RollingPolicy.default_rolling_policy(part_size=30),
    "old": RollingPolicy.default_rolling_policy(rollover_interval=25_000),
}


@pytest.mark.parametrize("parallelisms", [[1], [2, 3], [3, 1]], ids=str)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_operation_changes_nothing(tmp_path, policy, parallelisms, after):
    operation = 0
    while True:
        operation += 1
        directory = tmp_path / str(operation)
        engine = Engine(directory, POLICIES[policy], parallelisms)
        countdown = Countdown(operation, after=after)
        try:
            engine.run(countdown)
        except Crash:
            countdown.die(power_cut=operation % 2 == 0)
        else:
            break
        assert set(visible(directory)) <= set(RECORDS[: engine.durable.offset])
        had_checkpoint = engine.durable.checkpoint_id is not None
        engine.attempt += 1
        engine.run(Countdown(-1, after=False))
        assert sorted(visible(directory)) == sorted(RECORDS), operation
        if len(parallelisms) == 1 or had_checkpoint:
            # Only what a job wrote before its first checkpoint may stay hidden from a later job.
            assert hidden(directory) == []
    assert operation > 20
    assert sorted(visible(directory)) == sorted(RECORDS)


STRATEGIES = {
    "checkpoints": FileCompactStrategy.builder().enable_compaction_on_checkpoint(2).build(),
    "size": FileCompactStrategy.builder().set_size_threshold(70).build(),
    "end": FileCompactStrategy.builder().set_size_threshold(1_000_000).build(),
}


@pytest.mark.parametrize("parallelisms", [[1], [2, 3], [3, 1]], ids=str)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_while_parts_are_combined_changes_nothing(tmp_path, strategy, parallelisms, after):
    operation = 0
    while True:
        operation += 1
        directory = tmp_path / str(operation)
        engine = Engine(directory, POLICIES["small"], parallelisms, STRATEGIES[strategy])
        countdown = Countdown(operation, after=after)
        try:
            engine.run(countdown)
        except Crash:
            countdown.die(power_cut=operation % 2 == 0)
        else:
            break
        assert set(visible(directory)) <= set(RECORDS[: engine.durable.offset])
        had_checkpoint = engine.durable.checkpoint_id is not None
        engine.attempt += 1
        engine.run(Countdown(-1, after=False))
        assert sorted(visible(directory)) == sorted(RECORDS), operation
        if len(parallelisms) == 1 or had_checkpoint:
            assert hidden(directory) == []
    assert operation > 20
    assert sorted(visible(directory)) == sorted(RECORDS)
    assert all(path.name.startswith("compacted-part-") for path in directory.iterdir())


@pytest.mark.parametrize("policy", POLICIES)
def test_two_crashes_in_a_row(tmp_path, policy):
    for first in range(5, 50, 9):
        for second in range(1, 30, 4):
            directory = tmp_path / f"{first}-{second}"
            engine = Engine(directory, POLICIES[policy], [2])
            for operation in (first, second):
                countdown = Countdown(operation, after=True)
                try:
                    engine.run(countdown)
                except Crash:
                    countdown.die(power_cut=False)
                    engine.attempt += 1
            engine.run(Countdown(-1, after=False))
            assert sorted(visible(directory)) == sorted(RECORDS)
            assert hidden(directory) == []
