from __future__ import annotations

import errno
import os
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from millpond.clock import ManualClock, SystemClock
from millpond.errors import StateStoreError
from millpond.state.rocksdb import column_family
from millpond.state.rocksdb.database import (
    Cursor,
    Database,
    SharedBuffers,
    SortedFileWriter,
    column_families_on_disk,
    prefix_end,
)
from millpond.state.rocksdb.settings import (
    ColumnFamilySettings,
    CompactionStyle,
    CompressionType,
    DatabaseSettings,
    InfoLogLevel,
)

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ColumnFamilySettings(
    write_buffer_size_bytes=1 << 20, compression=(CompressionType.NO_COMPRESSION,)
)


def _open(path: Path, *names: str, **options: object) -> Database:
    return Database(path, DatabaseSettings(**options), dict.fromkeys(names, SMALL), SystemClock())


def _rows(count: int) -> list[tuple[bytes, bytes | None]]:
    return [(b"k%06d" % number, b"value") for number in range(count)]


def test_rows_are_written_read_deleted_and_scanned(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write(_rows(1200))
    family.write([(b"k000001", None), (b"k000002", b"new")])
    assert family.get(b"k000001") is None
    assert family.get_many([b"k000002", b"zz"]) == [b"new", None]
    assert len(list(family.scan())) == 1199
    assert list(family.scan(b"k00000")) == [
        (b"k%06d" % number, b"new" if number == 2 else b"value")
        for number in range(10)
        if number != 1
    ]
    assert list(family.scan_keys(b"k0011")) == [b"k%06d" % number for number in range(1100, 1200)]
    family.delete_range(b"k000100", b"k001000")
    assert sum(1 for _ in family.scan_keys()) == 299
    database.close()


def test_prefix_end_is_the_smallest_key_above_a_prefix() -> None:
    assert prefix_end(b"ab") == b"ac"
    assert prefix_end(b"a\xff\xff") == b"b"
    assert prefix_end(b"\xff") is None
    assert prefix_end(b"") is None


def test_prefixes_of_the_highest_bytes_are_scanned_whole(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write([(b"\xfe", b""), (b"\xff", b""), (b"\xff\xff", b""), (b"\xff\xff\xff", b"")])
    assert list(family.scan_keys(b"\xff")) == [b"\xff", b"\xff\xff", b"\xff\xff\xff"]
    database.close()


def test_a_cursor_keeps_the_view_of_its_opening_in_another_thread(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write(_rows(100))
    cursor = family.cursor()
    family.write([(key, None) for key, _ in _rows(100)])
    family.write([(b"later", b"")])
    family.flush()
    seen: list[bytes] = []
    thread = threading.Thread(target=lambda: seen.extend(cursor.row_keys()))
    thread.start()
    thread.join()
    assert seen == [key for key, _ in _rows(100)]
    database.close()


def test_a_damaged_block_is_an_error_and_not_a_short_scan(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    database.column_family("a").write(_rows(5000))
    database.column_family("a").flush()
    database.close()
    (file,) = (tmp_path / "db").glob("*.sst")
    data = bytearray(file.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 64] = bytes(64)
    file.write_bytes(data)
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    with pytest.raises(StateStoreError, match=r"damaged.*restart the job"):
        list(family.scan())
    with pytest.raises(StateStoreError, match="damaged"):
        [family.get(key) for key, _ in _rows(5000)]
    assert family.get(b"k004999") == b"value"
    database.close()


def test_a_locked_database_is_named(tmp_path: Path) -> None:
    database = _open(tmp_path / "db")
    with pytest.raises(StateStoreError, match="in use by another") as error:
        _open(tmp_path / "db")
    assert error.value.context["path"] == tmp_path / "db"
    database.close()
    _open(tmp_path / "db").close()


def test_closing_with_open_cursors_and_handles_frees_the_lock(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write(_rows(3))
    cursor = family.cursor()
    database.close()
    database.close()
    for use in (
        cursor.current,
        family.flush,
        lambda: family.get(b"k"),
        lambda: family.write(_rows(1)),
    ):
        with pytest.raises(StateStoreError, match="closed"):
            use()
    _open(tmp_path / "db", "a").close()


def test_families_that_were_not_named_are_refused(tmp_path: Path) -> None:
    _open(tmp_path / "db", "a", "b").close()
    assert sorted(column_families_on_disk(tmp_path / "db")) == ["a", "b", "default"]
    with pytest.raises(StateStoreError, match=r"not asked for: b\."):
        _open(tmp_path / "db", "a")


def test_effective_options_are_those_asked_for_also_after_reopening(tmp_path: Path) -> None:
    family = ColumnFamilySettings(
        write_buffer_size_bytes=3 << 20,
        write_buffer_count=5,
        write_buffers_to_merge=3,
        target_file_size_bytes=7 << 20,
        level_base_size_bytes=70 << 20,
        block_size_bytes=16384,
        arena_block_size_bytes=65536,
        bloom_bits_per_key=10.0,
        compaction_style=CompactionStyle.UNIVERSAL,
        partitioned_index_filters=True,
    )
    settings = DatabaseSettings(
        background_jobs=3, open_files=500, log_level=InfoLogLevel.HEADER_LEVEL
    )
    buffers = SharedBuffers(8 << 20, 2 << 20)
    for _ in range(2):
        database = Database(tmp_path / "db", settings, {"a": family}, SystemClock(), buffers)
        effective = database.effective_options()
        assert effective["DBOptions"]["max_background_jobs"] == "3"
        assert effective["DBOptions"]["max_open_files"] == "500"
        assert effective["DBOptions"]["info_log_level"] == "HEADER_LEVEL"
        assert effective["DBOptions"]["avoid_flush_during_shutdown"] == "true"
        assert effective["a"]["write_buffer_size"] == str(3 << 20)
        assert effective["a"]["max_write_buffer_number"] == "5"
        assert effective["a"]["min_write_buffer_number_to_merge"] == "3"
        assert effective["a"]["compaction_style"] == "kCompactionStyleUniversal"
        assert effective["a"]["index_type"] == "kTwoLevelIndexSearch"
        assert effective["a"]["pin_l0_filter_and_index_blocks_in_cache"] == "true"
        assert "bloom" in effective["a"]["filter_policy"]
        database.close()


def test_an_option_that_did_not_take_effect_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ColumnFamilySettings, "expected_effective", lambda *_, **__: {"write_buffer_size": "1"}
    )
    with pytest.raises(StateStoreError, match=r"did not take over.*write_buffer_size"):
        _open(tmp_path / "db", "a")


def test_families_are_created_and_dropped(tmp_path: Path) -> None:
    database = _open(tmp_path / "db")
    family = database.create_column_family("a", SMALL)
    family.write(_rows(3))
    with pytest.raises(StateStoreError, match="exists"):
        database.create_column_family("a", SMALL)
    database.drop_column_family("a")
    assert database.column_family_names == ("default",)
    assert list(database.create_column_family("a", SMALL).scan()) == []
    database.close()


def test_nothing_is_written_to_the_log(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    database.column_family("a").write(_rows(100))
    assert all(file.stat().st_size == 0 for file in (tmp_path / "db").glob("*.log"))
    database.close()


def test_a_checkpoint_holds_unflushed_rows_and_links_the_files(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    database.column_family("a").write(_rows(100))
    database.checkpoint(tmp_path / "copy")
    assert all(file.stat().st_nlink == 2 for file in (tmp_path / "copy").glob("*.sst"))
    with pytest.raises(StateStoreError):
        database.checkpoint(tmp_path / "copy")
    database.close()
    copy = _open(tmp_path / "copy", "a")
    assert len(list(copy.column_family("a").scan())) == 100
    copy.close()


def test_sorted_files_are_ingested(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    writer = SortedFileWriter(tmp_path / "new.sst", SMALL)
    writer.put_all((b"k%03d" % number, b"v") for number in range(100))
    with pytest.raises(StateStoreError, match="sorted file"):
        writer.put_all([(b"a", b"v")])
    writer.finish()
    family = database.column_family("a")
    family.ingest([tmp_path / "new.sst"])
    assert len(list(family.scan())) == 100
    with pytest.raises(StateStoreError, match=r"ingesting|missing"):
        family.ingest([tmp_path / "none.sst"])
    database.close()


class _Stalling:
    """A database of the binding whose writes stall a given number of times."""

    def __init__(self, database: object, stalls: int, message: str) -> None:
        self.database = database
        self.stalls = stalls
        self.message = message

    def write(self, batch: object, options: object) -> None:
        if self.stalls:
            self.stalls -= 1
            raise Exception(self.message)  # noqa: TRY002 - as the binding does
        self.database.write(batch, options)

    def close(self) -> None:
        self.database.close()


def test_stalled_writes_are_repeated_with_growing_pauses(tmp_path: Path) -> None:
    clock = ManualClock()
    database = Database(tmp_path / "db", DatabaseSettings(), {"a": SMALL}, clock)
    database._database = _Stalling(database._database, 8, "Result incomplete: Write stall")
    database.column_family("a").write(_rows(2))
    assert list(database.column_family("a").scan()) == _rows(2)
    assert clock.now_ms() == 1 + 2 + 4 + 8 + 16 + 32 + 50 + 50
    database.close()


def test_writes_that_stall_for_ever_are_an_error(tmp_path: Path) -> None:
    clock = ManualClock()
    database = Database(tmp_path / "db", DatabaseSettings(), {"a": SMALL}, clock)
    database._database = _Stalling(database._database, 1 << 60, "Result incomplete: Write stall")
    with pytest.raises(StateStoreError, match="writing rows"):
        database.column_family("a").write(_rows(2))
    assert clock.now_ms() >= 300_000
    database.close()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    message = f"IO error: {os.strerror(errno.ENOSPC)}: While appending to file"
    database._database = _Stalling(database._database, 1, message)
    with pytest.raises(StateStoreError, match=r"disk .* is full.*localdir"):
        database.column_family("a").write(_rows(2))
    assert database.column_family("a").get(b"k000000") is None
    database.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateStoreError) as error:
        _open(tmp_path / "file" / "db")
    assert error.value.context["path"] == tmp_path / "file" / "db"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_may_not_use_the_database(tmp_path: Path) -> None:
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write(_rows(10))
    cursor = family.cursor()
    child = os.fork()
    if child == 0:
        refused = 0
        for use in (
            family.flush,
            cursor.current,
            lambda: family.get(b"k"),
            lambda: family.write(_rows(1)),
        ):
            try:
                use()
            except StateStoreError:
                refused += 1
        database.close()
        os._exit(0 if refused == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    family.flush()
    assert len(list(family.scan())) == 10
    database.close()


def test_the_bound_of_a_cursor_lives_as_long_as_the_cursor(tmp_path: Path) -> None:
    # The binding frees the bound with its options object, and an iterator then ends anywhere.
    database = _open(tmp_path / "db", "a")
    family = database.column_family("a")
    family.write(_rows(1200))
    for _ in range(20):
        cursors = [family.cursor(b"k0000", b"k0001") for _ in range(5)]
        others = [family.cursor(b"a%05d" % number, b"b%05d" % number) for number in range(20)]
        assert [len(list(cursor.row_keys())) for cursor in cursors] == [100] * 5
        del others
    database.close()


def test_filters_of_upper_levels_end_when_the_keys_are_many(tmp_path: Path) -> None:
    buffers = SharedBuffers(1 << 20, 1 << 18)
    families = {"a": SMALL, "b": replace(SMALL, bloom_bits_per_key=5.0)}
    with closing(_with_buffers(tmp_path / "db", families, buffers)) as database:
        policies = {name: database.effective_options()[name]["filter_policy"] for name in families}
        assert all("bloom" in policy for policy in policies.values())
        few, many = database.column_family("a"), database.column_family("b")
        keys = (1 << 20) // 8 * 8 // 10 + 1
        few.write((number.to_bytes(8, "big"), b"") for number in range(1000))
        assert "bloom" in database.effective_options()["a"]["filter_policy"]
        for family in (few, many):
            family.write((number.to_bytes(8, "big"), b"") for number in range(keys + 40_000))
        assert database.effective_options()["a"]["filter_policy"] == "nullptr"
        assert "bloom" in database.effective_options()["b"]["filter_policy"]
        few.flush()
    # A database that is opened with many keys begins without.
    with closing(_with_buffers(tmp_path / "db", families, buffers)) as database:
        assert database.effective_options()["a"]["filter_policy"] == "nullptr"
        family = database.column_family("a")
        for number in (0, 77, keys):
            assert family.get(number.to_bytes(8, "big")) == b""
        assert family.get(b"nothing") is None


def _with_buffers(
    path: Path, families: dict[str, ColumnFamilySettings], buffers: SharedBuffers
) -> Database:
    return Database(path, DatabaseSettings(), families, SystemClock(), buffers)


def test_the_first_rows_of_a_range_are_read(tmp_path: Path) -> None:
    with closing(_open(tmp_path / "db", "a")) as database:
        family = database.column_family("a")
        family.write(_rows(30))
        family.flush()
        family.write([(b"k000003", None), (b"k000005", b"new")])
        assert family.read(b"k000002", b"k000007", 3) == [
            (b"k000002", b"value"),
            (b"k000004", b"value"),
            (b"k000005", b"new"),
        ]
        # The bound of one read is not that of the next one.
        assert len(family.read(b"k00001", b"k00002", 100)) == 10
        assert len(family.read(b"k00001", None, 100)) == 20
        assert family.read(b"k000008", b"k000008", 1) == []
        with family_cursor(database) as cursor:
            assert family.read(b"k000028", b"k000029", 9) == [(b"k000028", b"value")]
            assert len(cursor.read(100)) == 29


def family_cursor(database: Database) -> closing[Cursor]:
    return closing(database.column_family("a").cursor(b"", b"l"))


def test_a_family_that_cannot_end_its_filters_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(_open(tmp_path / "db", "a")) as database:
        family = database.column_family("a")
        family.write(_rows(3))
        monkeypatch.setattr(column_family, "NO_MORE_FILTERS", {"no_such_option": "1"})
        with pytest.raises(StateStoreError, match="ending the filters of state 'a'"):
            family.bound_filters(2)
        family.bound_filters(None)
