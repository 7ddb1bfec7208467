"""What the connector tests share: writer contexts, and splits read to their end."""

from __future__ import annotations

import pytest

from millpond.clock import ManualClock
from millpond.datastream.connectors.sink import SinkWriterContext


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000)


@pytest.fixture
def writer_context(clock):
    def make(subtask=0, parallelism=1, attempt=0, restored=None, job="a" * 32, checkpointing=True):
        return SinkWriterContext(job, subtask, parallelism, attempt, clock, restored, checkpointing)

    return make


@pytest.fixture
def read_all(clock):
    """Read every split of a source, `limit` records at a time, reopening after every batch."""

    def read(source, limit=3, reopen=True, parallelism=1):
        values = []
        for split in source.splits(parallelism):
            reader = source.open_split(split, None, clock)
            try:
                while True:
                    records = reader.read(limit)
                    if records is not None:
                        assert 0 < len(records.values) <= limit
                        values += records.values
                    if reader.finished:
                        break
                    if reopen:
                        position = dict(reader.position())
                        reader.close()
                        reader = source.open_split(split, position, clock)
            finally:
                reader.close()
        return values

    return read
