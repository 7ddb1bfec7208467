"""One test for each known trap of the binding: when one fails, a new release changed it."""

from __future__ import annotations

from pathlib import Path

import pytest
import rocksdict

from millpond.state.rocksdb.high_priority_pool import POOL_RATIO
from millpond.state.rocksdb.options_file import read_options_file


def _options(*, write_buffer_size: int = 4 << 20) -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(write_buffer_size)
    options.set_compression_type(rocksdict.DBCompressionType.none())
    return options


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "db")


def _fill(path: str, rows: int = 1000) -> rocksdict.Rdict:
    database = rocksdict.Rdict(path, _options())
    for number in range(rows):
        database.put(b"k%06d" % number, b"value")
    return database


def test_reopening_without_families_loses_their_filter(path: str) -> None:
    # Numbers are taken from the newest options file, but filters, caches and the like are lost.
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, False)
    options = _options()
    options.set_block_based_table_factory(table)
    rocksdict.Rdict(path, _options(), column_families={"a": options}).close()
    assert read_options_file(Path(path))["a"]["filter_policy"] == "bloomfilter"
    rocksdict.Rdict(path, _options()).close()
    assert read_options_file(Path(path))["a"]["filter_policy"] == "nullptr"


def test_snapshot_iterators_show_later_writes(path: str) -> None:
    database = _fill(path, 10)
    snapshot = database.snapshot()
    database.put(b"later", b"")
    assert len(list(snapshot.keys())) == 11
    del snapshot
    database.close()


def test_an_open_iterator_keeps_its_view(path: str) -> None:
    database = _fill(path, 10)
    iterator = database.iter()
    iterator.seek_to_first()
    for number in range(10):
        database.delete(b"k%06d" % number)
    database.put(b"later", b"")
    database.flush()
    database.compact_range(None, None)
    seen = []
    while iterator.valid():
        seen.append(iterator.key())
        iterator.next()
    assert seen == [b"k%06d" % number for number in range(10)]
    del iterator
    database.close()


def test_items_end_silently_at_a_damaged_block_and_only_status_tells(path: str) -> None:
    _fill(path, 5000).close()
    (file,) = Path(path).glob("*.sst")
    data = bytearray(file.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 64] = bytes(64)
    file.write_bytes(data)
    database = rocksdict.Rdict(path, _options())
    assert len(list(database.items())) < 5000
    iterator = database.iter()
    iterator.seek_to_first()
    while iterator.valid():
        iterator.next()
    with pytest.raises(Exception, match="Corruption"):
        iterator.status()
    del iterator
    database.close()


def test_the_lower_bound_acts_as_an_upper_bound(path: str) -> None:
    database = _fill(path, 1000)
    options = rocksdict.ReadOptions()
    options.set_iterate_lower_bound(b"k000300")
    iterator = database.iter(options)
    iterator.seek_to_first()
    assert iterator.key() == b"k000000"
    seen = 0
    while iterator.valid():
        seen += 1
        iterator.next()
    assert seen == 300
    del iterator
    database.close()


def test_a_batch_is_consumed_by_its_write(path: str) -> None:
    database = rocksdict.Rdict(path, _options())
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.put(b"k", b"v")
    database.write(batch)
    with pytest.raises(Exception, match="consumed"):
        database.write(batch)
    database.close()


def test_disable_wal_is_a_property_and_works(path: str) -> None:
    options = rocksdict.WriteOptions()
    options.disable_wal = True
    assert options.disable_wal is True
    database = rocksdict.Rdict(path, _options())
    database.put(b"k", b"v", options)
    (log,) = Path(path).glob("*.log")
    assert log.stat().st_size == 0
    database.close()


def test_only_bytes_are_taken(path: str) -> None:
    database = rocksdict.Rdict(path, _options())
    for value in (bytearray(b"x"), memoryview(b"x")):
        with pytest.raises((ValueError, KeyError)):
            database.put(b"k", value)
    database.close()


def test_no_slowdown_raises_instead_of_blocking_the_process(path: str) -> None:
    options = _options(write_buffer_size=1 << 16)
    options.set_ratelimiter(1_000_000, 10_000, 10)
    database = rocksdict.Rdict(path, options)
    write_options = rocksdict.WriteOptions()
    write_options.no_slowdown = True
    write_options.disable_wal = True
    keys = [b"k%d" % number for number in range(2000)]
    with pytest.raises(Exception, match="Write stall") as error:
        [database.put(key, b"v" * 1000, write_options) for key in keys]
    assert type(error.value) is Exception
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.put(b"k", b"v")
    with pytest.raises(Exception, match="Write stall"):
        database.write(batch, write_options)
    with pytest.raises(Exception, match="consumed"):
        database.write(batch, write_options)
    database.close()


def test_range_deletions_ignore_the_default_family_of_a_batch(path: str) -> None:
    database = rocksdict.Rdict(path, _options(), column_families={"a": _options()})
    family = database.get_column_family("a")
    handle = database.get_column_family_handle("a")
    family.put(b"b", b"")
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.set_default_column_family(handle)
    batch.delete_range(b"a", b"c")
    database.write(batch)
    assert family.get(b"b") == b""
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.delete_range(b"a", b"c", handle)
    database.write(batch)
    assert family.get(b"b") is None
    family.close()
    database.close()


def test_a_family_handle_keeps_a_closed_database_and_its_lock(path: str) -> None:
    database = rocksdict.Rdict(path, _options(), column_families={"a": _options()})
    family = database.get_column_family("a")
    database.close()
    with pytest.raises(Exception, match="lock hold") as error:
        rocksdict.Rdict(path, _options(), column_families={"a": _options()})
    assert type(error.value) is Exception
    family.close()
    rocksdict.Rdict(path, _options(), column_families={"a": _options()}).close()


def test_closing_the_handle_of_a_dropped_family_raises(path: str) -> None:
    database = rocksdict.Rdict(path, _options(), column_families={"a": _options()})
    family = database.get_column_family("a")
    database.drop_column_family("a")
    with pytest.raises(Exception, match="dropped"):
        family.close()
    database.close()


def test_there_is_no_merge_and_no_high_priority_pool() -> None:
    assert not hasattr(rocksdict.Rdict, "merge")
    assert not hasattr(rocksdict.WriteBatch, "merge")
    assert not any("high_pri" in name for name in dir(rocksdict.Cache))
    assert not hasattr(rocksdict.Options, "set_info_log_level")
    assert not hasattr(rocksdict.Options, "set_avoid_flush_during_shutdown")


def test_checkpoints_are_hard_links_with_unflushed_rows(path: str, tmp_path: Path) -> None:
    database = _fill(path, 10)
    database.flush()
    database.put(b"unflushed", b"v")
    copy = tmp_path / "copy"
    rocksdict.Checkpoint(database).create_checkpoint(str(copy))
    files = list(copy.glob("*.sst"))
    assert files
    assert all(file.stat().st_nlink == 2 for file in files)
    database.close()
    restored = rocksdict.Rdict(str(copy), _options())
    assert restored.get(b"unflushed") == b"v"
    restored.close()


def test_unordered_keys_of_a_sorted_file_raise(tmp_path: Path) -> None:
    writer = rocksdict.SstFileWriter(_options())
    writer.open(str(tmp_path / "a.sst"))
    writer[b"b"] = b""
    with pytest.raises(Exception, match="ascending"):
        writer[b"a"] = b""


def test_a_cache_has_a_high_priority_pool_of_half_and_no_way_to_set_it(tmp_path: Path) -> None:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(rocksdict.Cache(8 << 20))
    table.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(table)
    database = rocksdict.Rdict(str(tmp_path), options)
    log = (tmp_path / "LOG").read_text()
    assert f"high_pri_pool_ratio: {POOL_RATIO:.3f}" in log
    assert "cache_index_and_filter_blocks_with_high_priority: 1" in log
    assert not [name for name in dir(rocksdict.Cache) if "pri" in name and "print" not in name]
    database.close()
