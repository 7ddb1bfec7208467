"""Effects of the options about unaligned checkpoints and local recovery."""

from __future__ import annotations

import pytest

from millpond.common import Types
from millpond.datastream.connectors.collection import CollectionSource
from millpond.testing.ledger_sink import LedgerSink

PREFIX = "execution.checkpointing."
LOCAL = PREFIX + "local-backup."


def describe_fan_out(env, ledger, *, custom=False):
    """Make 200 records of each, so that a cycle is long."""
    numbers = env.from_source(CollectionSource(list(range(100))), None, "numbers").uid("numbers")
    many = numbers.flat_map(lambda value: [value] * 200, Types.LONG()).uid("many")
    if custom:
        dealt = many.partition_custom(lambda key, count: 0, lambda value: value)
    else:
        dealt = many.rebalance()
    mapped = dealt.map(lambda value: value, Types.LONG()).uid("map")
    mapped.sink_to(LedgerSink(ledger)).uid("ledger")


def describe_custom(env, ledger):
    """Deal the records by a partitioner of the program."""
    describe_fan_out(env, ledger, custom=True)


def overtaken(mill, describe=describe_fan_out, **options):
    options = {PREFIX + key.replace("__", "-").replace("_", "."): v for key, v in options.items()}
    run = mill.run({PREFIX + "interval": "10 ms", **options}, describe=describe)
    return sum(entry.is_unaligned for entry in run.statistics)


@pytest.mark.option(PREFIX + "unaligned.enabled")
def test_unaligned(make_mill):
    assert overtaken(make_mill(), unaligned_enabled="false") == 0
    assert overtaken(make_mill(), unaligned_enabled="true") > 0


@pytest.mark.option(PREFIX + "aligned-checkpoint-timeout")
def test_aligned_checkpoint_timeout(make_mill):
    options = {"unaligned_enabled": "true", "aligned__checkpoint__timeout": "1 h"}
    assert overtaken(make_mill(), **options) == 0


@pytest.mark.option(PREFIX + "unaligned.forced")
def test_unaligned_forced(make_mill):
    options = {"unaligned_enabled": "true"}
    assert overtaken(make_mill(), describe_custom, unaligned_forced="false", **options) == 0
    assert overtaken(make_mill(), describe_custom, unaligned_forced="true", **options) > 0


def copies(mill, directory, **options):
    """Return how many files were seen in the directory of copies while the job ran."""
    seen = 0

    def act(step, manager):
        nonlocal seen
        seen = max(seen, sum(path.is_file() for path in directory.rglob("jid_*/*")))

    mill.run(options, act=act)
    return seen


@pytest.mark.option(LOCAL + "enabled")
@pytest.mark.option(LOCAL + "dirs")
@pytest.mark.option("execution.state-recovery.from-local")
@pytest.mark.parametrize(
    "key",
    ["execution.state-recovery.from-local", "state.backend.local-recovery", LOCAL + "enabled"],
)
@pytest.mark.parametrize("directory", [LOCAL + "dirs", "taskmanager.state.local.root-dirs"])
def test_local_copies(make_mill, tmp_path, key, directory):
    place = {directory: str(tmp_path)}
    assert copies(make_mill(), tmp_path, **place, **{key: "false"}) == 0
    assert copies(make_mill(), tmp_path, **place, **{key: "true"}) > 0
