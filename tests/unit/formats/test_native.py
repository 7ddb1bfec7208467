"""RocksDB files written by RocksDB itself (through rocksdict), read without it."""

import dataclasses
import io
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    DBCompressionType,
    Options,
    Rdict,
    SstFileWriter,
)

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats.handles import FileHandle, IncrementalHandle, InlineHandle
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.manifest import read_manifest
from millpond.formats.native import NativeReader, merge_versions
from millpond.formats.pyflink_serializers import keyed_state_meta
from millpond.formats.snappy_frames import masked_crc32c
from millpond.formats.sst import MERGE, PUT, SstEntry, SstFile
from millpond.formats.sst_block import block_entries, index_entries, read_varint, unpack_block
from millpond.formats.state_meta import ELEMENT_ROWS
from millpond.formats.xxh3 import _xxh3_64

NAMES = ("python-state-a", "python-state-b")
HEADER = KeyedHeader(
    key_serializer_snapshot(Types.STRING()),
    (keyed_state_meta("a", is_map=False), keyed_state_meta("b", is_map=True)),
)


def options(compression=None, index=None, block_size=400, version=5):
    blocks = BlockBasedOptions()
    blocks.set_format_version(version)
    blocks.set_block_size(block_size)
    if index is not None:
        blocks.set_index_type(index)
    chosen = Options(raw_mode=True)
    chosen.create_if_missing(True)
    chosen.set_disable_auto_compactions(True)
    chosen.set_block_based_table_factory(blocks)
    chosen.set_compression_type(compression or DBCompressionType.none())
    return chosen


def key(group, number):
    return bytes([group]) + b"\0" + number.to_bytes(4, "big") + b"\0"


def rows(group, count):
    return {key(group, i): b"value %d " % i * (i % 9) for i in range(count)}


def files_of(path):
    return tuple(
        (file.name, FileHandle(str(file), file.stat().st_size))
        for file in sorted(path.iterdir())
        if file.suffix == ".sst" or file.name.startswith(("MANIFEST", "CURRENT"))
    )


def handle_of(path, files=None, first=0, count=128):
    meta = InlineHandle(write_keyed_header(HEADER))
    return IncrementalHandle(1, "id", first, count, meta, files or files_of(path), (), 0)


def open_stream(handle):
    return (
        io.BytesIO(handle.data)
        if isinstance(handle, InlineHandle)
        else Path(handle.path).open("rb")
    )


def read(handle, key_groups=None):
    found = {}
    for block in NativeReader(handle, open_stream, 1).blocks(key_groups):
        assert all(entry[0][0] == block.key_group for entry in block.entries)
        keys = [entry[0] for entry in block.entries]
        assert keys == sorted(keys)
        found.setdefault(NAMES[block.state_id], {}).update(block.entries)
    return found


def database(path, chosen):
    base = Rdict(str(path), chosen)
    return base, [base.create_column_family(name, chosen) for name in NAMES]


@pytest.mark.parametrize(
    ("compression", "index"),
    [
        (None, None),
        (DBCompressionType.snappy(), None),
        (DBCompressionType.lz4(), None),
        (DBCompressionType.zstd(), None),
        (None, BlockBasedIndexType.two_level_index_search()),
    ],
    ids=["plain", "snappy", "lz4", "zstd", "two-level"],
)
@pytest.mark.parametrize("version", [5, 6])
def test_newest_versions_are_read(tmp_path, compression, index, version):
    base, (a, b) = database(tmp_path, options(compression, index, version=version))
    expected = {name: {} for name in NAMES}
    for i, count in enumerate((600, 300, 50)):
        for group in (1, 2, 90):
            for family, name in ((a, NAMES[0]), (b, NAMES[1])):
                for row, value in rows(group, count).items():
                    family[row] = value + b"!" * i
                    expected[name][row] = value + b"!" * i
                for number in range(0, count, 7):
                    family.delete(key(group, number))
                    expected[name].pop(key(group, number))
        for family in (a, b):
            family.flush()
    handle = handle_of(tmp_path)
    assert read(handle) == expected
    wanted = {n: {k: v for k, v in e.items() if 2 <= k[0] <= 3} for n, e in expected.items()}
    assert read(handle, (2, 3)) == wanted
    assert read(handle_of(tmp_path, first=2, count=2)) == wanted
    assert read(handle_of(tmp_path, count=0)) == {}
    assert read(handle_of(tmp_path, first=2, count=2), (90, 127)) == {}
    # A compaction leaves files behind that are not live.
    a.compact_range(None, None)
    assert read(handle_of(tmp_path, files_of(tmp_path))) == expected
    base.close()


def test_range_deletions_count(tmp_path):
    base, (a, _) = database(tmp_path, options())
    for row, value in rows(1, 50).items():
        a[row] = value
    a.flush()
    a.delete_range(key(1, 10), key(1, 20))
    a[key(1, 15)] = b"again"
    a.flush()
    expected = {
        row: value for row, value in rows(1, 50).items() if not key(1, 10) <= row < key(1, 20)
    }
    expected[key(1, 15)] = b"again"
    assert read(handle_of(tmp_path)) == {NAMES[0]: expected}
    base.close()


def test_ingested_files_get_their_sequence_from_the_manifest(tmp_path):
    base, (a, _) = database(tmp_path / "db", options())
    a[key(1, 1)] = b"old"
    a[key(1, 2)] = b"kept"
    a.flush()
    writer = SstFileWriter(options())
    writer.open(str(tmp_path / "ingested.sst"))
    writer[key(1, 1)] = b"ingested"
    writer.finish()
    a.ingest_external_file([str(tmp_path / "ingested.sst")])
    assert read(handle_of(tmp_path / "db")) == {
        NAMES[0]: {key(1, 1): b"ingested", key(1, 2): b"kept"}
    }
    base.close()


def test_a_missing_file_is_named(tmp_path):
    base, (a, _) = database(tmp_path, options())
    a[key(1, 1)] = b"x"
    a.flush()
    files = tuple(file for file in files_of(tmp_path) if not file[0].endswith(".sst"))
    with pytest.raises(FormatError, match=r"missing\. \[.*file: 0000\d\d\.sst"):
        read(handle_of(tmp_path, files))
    base.close()


def test_a_database_has_one_manifest(tmp_path):
    base, (a, _) = database(tmp_path, options())
    a[key(1, 1)] = b"x"
    a.flush()
    files = tuple(file for file in files_of(tmp_path) if file[0].endswith(".sst"))
    with pytest.raises(FormatError, match="one manifest"):
        read(handle_of(tmp_path, files))
    base.close()


def one_table(tmp_path, **changes):
    base, (a, _) = database(tmp_path, options(**changes))
    for row, value in rows(1, 40).items():
        a[row] = value
    a.flush()
    base.close()
    (path,) = tmp_path.glob("*.sst")
    return path.read_bytes()


@pytest.mark.parametrize("version", [5, 6])
def test_damage_of_a_table_is_a_named_error(tmp_path, version):
    data = one_table(tmp_path, version=version)
    intact = list(merge_versions([SstFile(io.BytesIO(data), "x.sst")]))
    assert len(intact) == 40
    for size in range(0, len(data), 31):
        with pytest.raises(FormatError):
            list(merge_versions([SstFile(io.BytesIO(data[:size]), "x.sst")]))
    harmless = 0
    for at in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[at] ^= 0x20
        try:
            found = list(merge_versions([SstFile(io.BytesIO(bytes(damaged)), "x.sst")]))
        except FormatError:
            continue
        # Only what is never read may change unnoticed: the filter, unused footer bytes.
        assert found == intact
        harmless += 1
    assert harmless < len(data) / 5 / 4


def test_versions_are_merged_newest_first():
    class Table:
        range_deletions = ()

        def __init__(self, *entries):
            self._entries = entries

        def entries(self):
            return iter(self._entries)

    old = Table(
        SstEntry(b"k", 1, PUT, b"a"), SstEntry(b"m", 5, MERGE, b"y"), SstEntry(b"m", 4, MERGE, b"x")
    )
    new = Table(
        SstEntry(b"k", 3, MERGE, b"c"), SstEntry(b"k", 2, MERGE, b"b"), SstEntry(b"l", 4, 0, b"")
    )
    last = Table(
        SstEntry(b"k", 4, MERGE, b"d"), SstEntry(b"m", 6, 7, b""), SstEntry(b"z", 1, PUT, b"")
    )
    assert list(merge_versions([old, new, last])) == [(b"k", b"a,b,c,d"), (b"z", b"")]
    assert list(merge_versions([old])) == [(b"k", b"a"), (b"m", b"x,y")]
    with pytest.raises(FormatError, match="unknown kind"):
        list(merge_versions([Table(SstEntry(b"k", 1, 17, b"blob"))]))


def test_a_damaged_manifest_is_a_named_error(tmp_path):
    one_table(tmp_path)
    (path,) = tmp_path.glob("MANIFEST-*")
    data = path.read_bytes()
    manifest = read_manifest(data)
    assert set(NAMES) < set(manifest.column_families.values())
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x11
        with pytest.raises(FormatError):
            read_manifest(bytes(damaged))
    for size in range(len(data)):
        try:
            part = read_manifest(data[:size])
        except FormatError:
            continue
        # A manifest that ends between two records is an older state of the database.
        assert part.files != manifest.files or part == manifest


def test_other_block_kinds_are_named():
    def block(kind, body=b"body"):
        body += bytes([kind])
        return body + masked_crc32c(body).to_bytes(4, "little")

    deflate = zlib.compressobj(wbits=-14)
    packed = deflate.compress(b"x" * 300) + deflate.flush()
    assert unpack_block(block(2, b"\xac\x02" + packed), 1, "x.sst", 0) == b"x" * 300
    for body in (b"\xad\x02" + packed, b"\0" + packed, b"\1\xff\xff"):
        with pytest.raises(FormatError, match="damaged"):
            unpack_block(block(2, body), 1, "x.sst", 0)
    for kind in (2, 4, 7):
        with pytest.raises(FormatError, match="too large"):
            unpack_block(block(kind, b"\xff\xff\xff\xff\x7f"), 1, "x.sst", 0)
        with pytest.raises(FormatError, match="damaged"):
            unpack_block(block(kind, b"\x09garbage"), 1, "x.sst", 0)

    assert unpack_block(block(0), 1, "x.sst", 0) == b"body"
    with pytest.raises(FormatError, match="compression"):
        unpack_block(block(3), 1, "x.sst", 0)
    with pytest.raises(FormatError, match="kind of block checksum"):
        unpack_block(block(0), 3, "x.sst", 0)


@pytest.mark.parametrize(
    "block",
    [b"", b"\1\0\0\0", b"\5\1\0x" + bytes(4), b"\0\1\x09xy" + bytes(4), b"\0" + bytes(4)],
)
def test_damaged_blocks_are_named(block):
    with pytest.raises(FormatError):
        list(block_entries(block))


@pytest.mark.parametrize(
    "block", [b"", b"\0\1x" + bytes(4), b"\0\x09x\1\1" + bytes(4), b"\0\1x\1\1\1\1x\7" + bytes(4)]
)
def test_damaged_index_blocks_are_named(block):
    with pytest.raises(FormatError):
        list(index_entries(block, delta_encoded=1))


def test_index_blocks_record_differences():
    block = b"\0\1x\x10\x20" + b"\1\1y\x02" + b"\1\1z\x03" + bytes(4)
    assert list(index_entries(block, delta_encoded=1)) == [(16, 32), (53, 33), (91, 31)]
    plain = b"\0\1\2x\x10\x20" + bytes(4)
    assert list(index_entries(plain, delta_encoded=0)) == [(16, 32)]


def test_numbers_have_64_bits_at_most():
    assert read_varint(b"\xac\x02", 0) == (300, 2)
    for data in (b"", b"\x80", b"\xff" * 20):
        with pytest.raises(FormatError):
            read_varint(data, 0)


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (0, 0x2D06800538D394C2),
        (1, 0xC44BDFF4074EECDB),
    ],
)
def test_xxh3_of_known_inputs(length, digest):
    assert _xxh3_64(bytes(length)) == digest


@pytest.mark.parametrize("block_size", [1, 60, 150, 700, 3000, 9000])
def test_xxh3_of_blocks_that_rocksdb_wrote(tmp_path, block_size):
    data = one_table(tmp_path, block_size=block_size)
    table = SstFile(io.BytesIO(data), "x.sst")
    assert data[-53] == 4
    assert len(list(table.entries())) == 40


def test_lists_of_millpond_have_a_row_for_each_element(tmp_path):
    base, (a, b) = database(tmp_path, options(version=6))
    for number, data in enumerate((b"one", b"", b"three")):
        for group in (1, 2):
            a[key(group, 1) + number.to_bytes(8, "big")] = len(data).to_bytes(4, "big") + data
    a[key(1, 2) + bytes(8)] = b"\0\0\0\1x"
    b[key(1, 1)] = b"as it is"
    for family in (a, b):
        family.flush()
    states = (
        replace(HEADER.states[0], options={**HEADER.states[0].options, ELEMENT_ROWS: "true"}),
        HEADER.states[1],
    )
    meta = InlineHandle(write_keyed_header(KeyedHeader(HEADER.key_serializer, states)))
    joined = b"\0\0\0\3one,\0\0\0\0,\0\0\0\5three"
    assert read(replace(handle_of(tmp_path), meta=meta)) == {
        NAMES[0]: {key(1, 1): joined, key(1, 2): b"\0\0\0\1x", key(2, 1): joined},
        NAMES[1]: {key(1, 1): b"as it is"},
    }
    base.close()


def test_a_state_under_another_name_is_noticed(tmp_path):
    base, (a, _) = database(tmp_path, options())
    a[key(1, 1)] = b"x"
    a.flush()
    handle = handle_of(tmp_path)
    renamed = handle.meta.data.replace(NAMES[0].encode(), NAMES[0][:-1].encode() + b"?")
    assert renamed != handle.meta.data
    with pytest.raises(FormatError, match="are not the states of its header"):
        read(dataclasses.replace(handle, meta=InlineHandle(renamed)))
    base.close()
