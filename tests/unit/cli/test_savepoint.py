from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from millpond.cli import main

GOLDEN = Path(__file__).parents[2] / "golden" / "flink"
CANONICAL = GOLDEN / "2.3.0-hashmap-canonical" / "savepoint-b745fe-266106db55da"
OTHER = GOLDEN / "1.20.5-rocksdb-p2-heap-timers-canonical" / "savepoint-f48055-c7f7cc40fc38"
CHECKPOINT = "2.3.0-rocksdb-p2-heap-timers-checkpoint/4e11fa2c75979693d9c75d08a3a0ad88/chk-3"


def run(*arguments):
    return CliRunner().invoke(main, ["savepoint", *map(str, arguments)])


def records(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_show():
    result = run("show", CANONICAL, "--operator", "five-kinds")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1] == "written by Flink, canonical, checkpoint 2, metadata version 6"
    assert "uid five-kinds): parallelism 1 of 128," in lines[3]
    assert any(line.startswith("  scores  MAP<") for line in lines)
    assert any(line.startswith('    key "long-kkk') for line in lines)


def test_show_as_json():
    operators = records("show", CANONICAL, "--json", "--keys", "1")
    (operator,) = (each for each in operators if each["uid"] == "expiring")
    states = {state["name"]: state for state in operator["states"]}
    assert states["limits"]["kind"] == "MAP"
    assert states["limits"]["ttl"]
    assert states["limits"]["entries"] == 4
    assert not states["plain"]["ttl"]
    assert [len(state["largest_keys"]) for state in states.values() if state["entries"]] == [1] * 6


def test_show_finds_timers_beside_rocksdbs_files(tmp_path):
    folder = tmp_path / "chk-3"
    shutil.copytree(GOLDEN / CHECKPOINT, folder)
    for packed in folder.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    (operator,) = records("show", folder, "--json", "--operator", "timers-tuple-key")
    states = {state["name"]: state["entries"] for state in operator["states"]}
    assert states["event timers"] == 4
    assert states["processing timers"] == 4


def test_dump_selects():
    (record,) = records(
        "dump", CANONICAL, "--operator", "five-kinds", "--state", "total", "--key", "a"
    )
    assert record == {
        "operator": "five-kinds",
        "state": "total",
        "kind": "LIST",
        "key": "a",
        "value": {"bytes": (11).to_bytes(8, "big").hex()},
    }
    (record,) = records(
        *("dump", CANONICAL, "--operator", "five-kinds", "--state", "total"),
        *("--key", "a", "--type", "total=LONG"),
    )
    assert record["value"] == [11]


def test_dump_finds_keys_that_are_no_texts():
    found = records("dump", CANONICAL, "--operator", "timers-tuple-key", "--key", '["x", 1]')
    assert {text["state"] for text in found} == {
        "last",
        "tags",
        "event timers",
        "processing timers",
    }
    assert records("dump", CANONICAL, "--operator", "value-types", "--key", "-1")


def test_pickles_stay_closed_unless_allowed():
    arguments = ("dump", CANONICAL, "--operator", "pickled-key", "--state", "bag")
    for record in records(*arguments):
        assert set(record["key"]) == {"pickle"}
        assert all(set(value) == {"pickle"} for value in record["value"])
    opened = {
        json.dumps(each["key"]): each["value"] for each in records(*arguments, "--allow-pickle")
    }
    assert opened['"text"'] == ["one", None, {"map": [["second", "chunk"]]}]


def test_dump_as_csv(tmp_path):
    target = tmp_path / "dump.csv"
    result = run(
        *("dump", CANONICAL, "--operator", "five-kinds", "--format", "csv"), "--output", target
    )
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    assert len(rows) == len(records("dump", CANONICAL, "--operator", "five-kinds"))
    assert {row["state"] for row in rows} >= {"count", "names", "scores", "total", "mean"}
    assert '"a"' in {row["key"] for row in rows}


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("dump", CANONICAL, "--format", "parquet", "--output", tmp_path / "dump.parquet")
    assert result.exit_code == 1
    assert "pip install 'millpond[parquet]'" in result.stderr


def test_dump_as_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra")
    target = tmp_path / "dump.parquet"
    arguments = ("dump", CANONICAL, "--operator", "timers-tuple-key")
    assert run(*arguments, "--format", "parquet", "--output", target).exit_code == 0
    table = parquet.read_table(target).to_pylist()
    assert len(table) == len(records(*arguments))
    assert {row["kind"] for row in table} == {"LIST", "MAP", "timers"}


def test_diff_of_equal_and_of_different_savepoints():
    result = run("diff", CANONICAL, CANONICAL)
    assert (result.exit_code, result.stdout) == (0, "The state is the same.\n")
    result = run("diff", OTHER, CANONICAL, "--operator", "five-kinds", "--json")
    assert result.exit_code == 1
    changes = [json.loads(line) for line in result.stdout.splitlines()]
    assert changes
    # Only the second has this operator.
    assert all("first" not in change and "second" in change for change in changes)
    result = run("diff", CANONICAL, OTHER, "--operator", "five-kinds")
    assert result.stdout.splitlines()[-1] == f"{len(changes)} entries differ."
    assert "  - " in result.stdout
    assert "  + " not in result.stdout


def test_errors_are_one_paragraph():
    result = run("show", GOLDEN)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no complete checkpoint or savepoint")
    result = run("dump", CANONICAL, "--operator", "nobody")
    assert result.exit_code == 1
    assert "no operator 'nobody'" in result.stderr
    result = run("dump", CANONICAL, "--type", "total=TEXT")
    assert result.exit_code == 2
    assert "--type" in result.stderr


def test_a_damaged_state_is_a_named_error(tmp_path):
    data = bytearray((CANONICAL / "_metadata").read_bytes())
    # A state stream is inline: break the version of one header.
    at = data.index(b"org.apache.flink.api.java.typeutils.runtime.RowSerializer")
    data[at] ^= 1
    (tmp_path / "_metadata").write_bytes(data)
    result = run("dump", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_parquet_files_are_written_in_pieces(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra")
    monkeypatch.setattr("millpond.state_processor.dump._PARQUET_CHARACTERS", 300)
    target = tmp_path / "dump.parquet"
    assert run("dump", CANONICAL, "--format", "parquet", "--output", target).exit_code == 0
    lines = run("dump", CANONICAL).stdout.splitlines()
    file = parquet.ParquetFile(target)
    assert file.metadata.num_rows == len(lines)
    assert file.metadata.num_row_groups > 10


def test_a_state_that_is_not_there_is_no_empty_answer():
    result = run("dump", CANONICAL, "--operator", "five-kinds", "--state", "totl")
    assert result.exit_code == 1
    assert "No operator has a state 'totl'." in result.stderr
    assert "total" in result.stderr


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_a_file_that_cannot_be_written_is_named(file_format, tmp_path):
    target = tmp_path / "nowhere" / "dump"
    result = run("dump", CANONICAL, "--format", file_format, "--output", target)
    assert result.exit_code == 1
    assert result.stderr == f"Error: Cannot write {target}: No such file or directory.\n"


def test_a_dump_that_fails_leaves_what_was_there(tmp_path):
    folder = tmp_path / "savepoint"
    shutil.copytree(CANONICAL, folder)
    metadata = folder / "_metadata"
    data = bytearray(metadata.read_bytes())
    data[len(data) // 2] ^= 0xFF
    metadata.write_bytes(data)
    target = tmp_path / "dump"
    target.write_text("before")
    assert run("dump", folder, "--output", target).exit_code == 1
    assert target.read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"savepoint", "dump"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_is_written_to_as_it_is():
    result = run("dump", CANONICAL, "--output", "/dev/full")
    assert result.stderr == "Error: Cannot write /dev/full: No space left on device.\n"
    assert run("dump", CANONICAL, "--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_dispose(tmp_path):
    folder = tmp_path / CANONICAL.name
    shutil.copytree(CANONICAL, folder)
    assert run("dispose", folder).stdout == f"Savepoint '{folder}' is deleted.\n"
    assert list(tmp_path.iterdir()) == []
    refused = run("dispose", folder)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: There is no complete checkpoint or savepoint")
