"""`FileSource`: every format from every kind of file, resumed at every record."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile

import pytest

from millpond.common.time import Duration
from millpond.datastream.connectors.file_system import (
    BulkFormat,
    FileEnumeratorProvider,
    FileSource,
    RecordReader,
    StreamFormat,
)
from millpond.errors import ConfigurationError, DataFileError, MissingDependencyError

LINES = ["first", "", "zweite Zeile: äöü", "third\tone", "日本", "last"]
TEXT = "\n".join(LINES) + "\n"


def write_plain(path, data):
    path.write_bytes(data)


def write_zip(path, data):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)


PACKERS = {
    "lines.txt": write_plain,
    "lines.txt.gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    "lines.txt.bz2": lambda path, data: path.write_bytes(bz2.compress(data)),
    "lines.txt.xz": lambda path, data: path.write_bytes(lzma.compress(data)),
    "lines.zip": write_zip,
}


def text_source(*paths, charset="UTF-8"):
    return FileSource.for_record_stream_format(
        StreamFormat.text_line_format(charset), *paths
    ).build()


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("limit", [1, 2, 6, 7])
def test_lines_of_plain_and_packed_files(tmp_path, read_all, name, limit):
    PACKERS[name](tmp_path / name, TEXT.encode())
    assert read_all(text_source(tmp_path / name), limit) == LINES


@pytest.mark.parametrize("charset", ["UTF-8", "UTF-16", "UTF-16-LE", "UTF-32"])
def test_lines_in_any_character_set(tmp_path, read_all, charset):
    (tmp_path / "lines.txt").write_bytes(TEXT.encode(charset))
    assert read_all(text_source(tmp_path / "lines.txt", charset=charset), 2) == LINES


def test_windows_line_ends_and_a_last_line_without_one(tmp_path, read_all):
    (tmp_path / "lines.txt").write_bytes(b"a\r\nb\r\n\r\nc")
    assert read_all(text_source(tmp_path / "lines.txt"), 1) == ["a", "b", "", "c"]


def test_an_empty_file_has_no_records(tmp_path, read_all):
    (tmp_path / "empty.txt").write_bytes(b"")
    assert read_all(text_source(tmp_path / "empty.txt")) == []


def test_a_reader_returns_exactly_the_limit_until_the_end(tmp_path, clock):
    (tmp_path / "lines.txt").write_text("".join(f"{n}\n" for n in range(10)))
    source = text_source(tmp_path / "lines.txt")
    reader = source.open_split(source.splits(1)[0], None, clock)
    sizes = []
    while not reader.finished:
        records = reader.read(4)
        sizes.append(len(records.values))
    reader.close()
    assert sizes == [4, 4, 2]


def test_directories_are_walked_and_hidden_files_left_out(tmp_path, read_all):
    (tmp_path / "b").mkdir()
    (tmp_path / "_tmp").mkdir()
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b" / "c.txt").write_text("c\n")
    (tmp_path / ".part-0.inprogress").write_text("hidden\n")
    (tmp_path / "_tmp" / "x.txt").write_text("hidden\n")
    assert read_all(text_source(tmp_path)) == ["a", "c"]


def test_each_member_of_an_archive_is_a_split(tmp_path, read_all):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("one.txt", "1\n2\n")
        archive.writestr("two.txt", "3\n")
    source = text_source(tmp_path / "two.zip")
    assert [split.split_id.rpartition("!")[2] for split in source.splits(1)] == [
        "one.txt",
        "two.txt",
    ]
    assert read_all(source, 1) == ["1", "2", "3"]


def test_a_path_named_twice_is_read_once(tmp_path, read_all):
    (tmp_path / "a.txt").write_text("a\n")
    assert read_all(text_source(tmp_path, tmp_path / "a.txt")) == ["a"]


def test_csv_rows_become_dictionaries(tmp_path, read_all):
    (tmp_path / "t.csv").write_text('name,count\r\na,1\r\n\r\n"b, ""c""\nd",NA\r\nä,3')
    source = FileSource.for_record_stream_format(
        StreamFormat.csv_format(null_values=["NA"], converters={"count": int}), tmp_path / "t.csv"
    ).build()
    expected = [
        {"name": "a", "count": 1},
        {"name": 'b, "c"\nd', "count": None},
        {"name": "ä", "count": 3},
    ]
    for limit in (1, 2, 3, 9):
        assert read_all(source, limit) == expected


def test_csv_without_a_header_line_and_with_a_byte_order_mark(tmp_path, read_all):
    (tmp_path / "t.csv").write_bytes("\ufeffa;1\nb;2\n".encode())
    csv_format = StreamFormat.csv_format(["name", "count"], delimiter=";")
    source = FileSource.for_record_stream_format(csv_format, tmp_path / "t.csv").build()
    assert read_all(source, 1) == [{"name": "a", "count": "1"}, {"name": "b", "count": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3\n", "1 fields where the file has 2 columns"),
        ('a,b\n1,2\n"3,4\n', "not CSV"),
        ("a,b\n1,x\n", "does not fit"),
        ("c\n1\n", "no column 'b'"),
        (b"a,b\n\xff\xfe,1\n", "cannot be read"),
    ],
)
def test_malformed_csv_names_file_and_record(tmp_path, read_all, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    csv_format = StreamFormat.csv_format(converters={"b": int})
    source = FileSource.for_record_stream_format(csv_format, path).build()
    with pytest.raises(DataFileError, match=message) as caught:
        read_all(source, 1, reopen=False)
    assert caught.value.context["file"] == str(path)


def test_json_lines(tmp_path, read_all):
    values = [{"a": 1}, [1, None], "text", 2.5]
    text = "\n".join(json.dumps(value) for value in values)
    (tmp_path / "t.jsonl").write_text(text.replace("\n", "\n \n", 1))
    source = FileSource.for_record_stream_format(
        StreamFormat.json_lines_format(), tmp_path / "t.jsonl"
    ).build()
    for limit in (1, 3, 10):
        assert read_all(source, limit) == values


def test_a_bad_json_line_is_named(tmp_path, read_all):
    (tmp_path / "t.jsonl").write_text('{"a":1}\n{"a":\n')
    source = FileSource.for_record_stream_format(
        StreamFormat.json_lines_format(), tmp_path / "t.jsonl"
    ).build()
    with pytest.raises(DataFileError, match="not JSON") as caught:
        read_all(source)
    assert caught.value.context["line"] == 2


@pytest.mark.parametrize("name", [name for name in PACKERS if name != "lines.txt"])
def test_a_truncated_packed_file_is_a_named_error(tmp_path, read_all, name):
    PACKERS[name](tmp_path / name, TEXT.encode() * 500)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataFileError, match="cannot be read") as caught:
        read_all(text_source(tmp_path / name), 10_000)
    assert name in caught.value.context["file"]


def test_a_file_that_became_shorter_than_the_position_is_an_error(tmp_path, clock):
    path = tmp_path / "lines.txt.gz"
    path.write_bytes(gzip.compress(b"a\nb\nc\n"))
    source = text_source(path)
    reader = source.open_split(source.splits(1)[0], None, clock)
    reader.read(3)
    position = reader.position()
    reader.close()
    path.write_bytes(gzip.compress(b"a\n"))
    with pytest.raises(DataFileError, match="shorter"):
        source.open_split(source.splits(1)[0], position, clock)


def test_missing_inputs_are_named(tmp_path):
    with pytest.raises(DataFileError, match="no such input"):
        text_source(tmp_path / "nowhere").splits(1)
    with pytest.raises(ConfigurationError, match="one path"):
        FileSource.for_record_stream_format(StreamFormat.text_line_format())
    with pytest.raises(ConfigurationError, match="character set"):
        StreamFormat.text_line_format("klingon")


def test_monitoring_finds_new_files_and_keeps_the_ids_of_old_ones(tmp_path):
    source = (
        FileSource.for_record_stream_format(StreamFormat.text_line_format(), tmp_path / "in")
        .monitor_continuously(Duration.of_seconds(2))
        .set_file_enumerator(FileEnumeratorProvider.default_splittable_file_enumerator())
        .build()
    )
    assert (source.bounded, source.discovery_interval_ms) == (False, 2000)
    assert source.splits(1) == ()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").write_text("b")
    first = source.splits(1)
    (tmp_path / "in" / "a.txt").write_text("a")
    assert {split.split_id for split in first} < {split.split_id for split in source.splits(1)}


class Halves(BulkFormat):
    """Reads a file in two blocks."""

    def open(self, file, position):
        with file.open() as stream:
            text = stream.read().decode()
        return HalvesReader(text, position["next"] if position else 0)


class HalvesReader(RecordReader):
    def __init__(self, text, index):
        self.text, self.index = text, index

    def read(self, limit):
        values = list(self.text[self.index : self.index + limit])
        self.index += len(values)
        return values

    def position(self):
        return {"next": self.index}

    def close(self):
        pass


def parquet_source(*paths, columns=None):
    return FileSource.for_bulk_file_format(BulkFormat.parquet_format(columns), *paths).build()


@pytest.mark.parametrize("limit", [1, 3, 4, 40])
def test_parquet_rows_become_dictionaries(tmp_path, read_all, limit):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"number": n, "text": None if n % 3 else f"é{n}", "list": [n, n]} for n in range(10)]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=4)
    assert read_all(parquet_source(tmp_path / "rows.parquet"), limit) == rows
    numbers = [{"number": row["number"]} for row in rows]
    one_column = parquet_source(tmp_path / "rows.parquet", columns=["number"])
    assert read_all(one_column, limit) == numbers


def test_a_damaged_parquet_file_and_an_unknown_column_are_named(tmp_path, read_all):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"number": [1, 2, 3]}), path)
    with pytest.raises(DataFileError, match=r"no column 'size'.*It has number"):
        read_all(parquet_source(path, columns=["size"]), 2)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataFileError, match=r"Parquet file cannot be read.*rows\.parquet"):
        read_all(parquet_source(path), 2)


def test_a_missing_pyarrow_is_named_with_its_command(tmp_path, monkeypatch, read_all):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "rows.parquet").touch()
    with pytest.raises(MissingDependencyError, match=r"pip install 'millpond\[parquet\]'"):
        read_all(parquet_source(tmp_path / "rows.parquet"), 2)


def test_a_bulk_format_of_ones_own(tmp_path, read_all):
    (tmp_path / "f").write_text("abcdefg")
    assert read_all(FileSource.for_bulk_file_format(Halves(), tmp_path / "f").build(), 3) == list(
        "abcdefg"
    )
