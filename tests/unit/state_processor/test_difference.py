from __future__ import annotations

import pytest

from millpond.errors import SavepointMismatchError
from millpond.state_processor import difference
from millpond.state_processor.difference import compare
from millpond.state_processor.savepoint import Savepoint


def changes(first, second, *operators, **options):
    return [
        (
            change.first and change.first.state.name,
            change.second and change.second.state.name,
        )
        for change in compare(Savepoint.open(first), Savepoint.open(second), operators, **options)
    ]


@pytest.fixture(params=[1, 8], ids=["in memory", "in temporary files"])
def _buckets(request, monkeypatch):
    if request.param > 1:
        monkeypatch.setattr(difference, "_BUCKET_BYTES", 100)


@pytest.mark.usefixtures("_buckets")
def test_store_and_parallelism_make_no_difference(millpond_savepoint, same_savepoint):
    assert changes(millpond_savepoint, same_savepoint, "keeper") == []


def test_files_of_rocksdb_hold_the_same(millpond_savepoint, incremental_checkpoint):
    assert Savepoint.open(incremental_checkpoint).kind == "RocksDB files"
    assert changes(millpond_savepoint, incremental_checkpoint, "keeper") == []


@pytest.mark.usefixtures("_buckets")
def test_changed_values_are_found(millpond_savepoint, other_savepoint):
    assert changes(millpond_savepoint, other_savepoint, "keeper") == [("last", "last")] * 3


@pytest.mark.usefixtures("_buckets")
def test_an_operator_that_only_one_has(millpond_savepoint, flink_snapshots):
    path, _ = flink_snapshots["2.3.0-hashmap-none-checkpoint"]
    found = changes(millpond_savepoint, path, "keeper")
    assert {second for _, second in found} == {None}
    # 3 keys with 5 states, 20 map entries, 20 timers.
    assert len(found) == 55
    assert len(changes(path, millpond_savepoint, "keeper")) == 55


def test_flinks_snapshots_equal_themselves(flink_snapshots):
    for path, _ in flink_snapshots.values():
        assert changes(path, path) == []


def test_two_checkpoints_of_flink_differ_where_the_job_went_on(flink_snapshots):
    one, _ = flink_snapshots["1.20.5-rocksdb-incremental"]
    two, _ = flink_snapshots["2.3.0-rocksdb-incremental"]
    assert changes(one, two)


def test_an_unknown_operator_is_named(millpond_savepoint):
    with pytest.raises(SavepointMismatchError, match="no operator 'nobody'"):
        changes(millpond_savepoint, millpond_savepoint, "nobody")


def test_equal_pickles_of_different_bytes(monkeypatch):
    import pickle

    def held(protocol):
        data = pickle.dumps(("a", {"b": 1}), protocol)
        return len(data).to_bytes(4, "big") + data, (), 0

    assert not difference._equal(allow_pickle=False, times=True)(held(4), held(2))
    assert difference._equal(allow_pickle=True, times=True)(held(4), held(2))


def test_last_access_times_count_unless_they_shall_not():
    first, second = (b"v", (1,), 0), (b"v", (2,), 0)
    assert not difference._equal(allow_pickle=False, times=True)(first, second)
    assert difference._equal(allow_pickle=False, times=False)(first, second)
    # The same elements in another number of chunks.
    assert difference._equal(allow_pickle=False, times=True)(first, (b"v", (1, 1), 0))
