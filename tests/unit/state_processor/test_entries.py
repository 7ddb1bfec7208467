"""Snapshots of Flink, in every layout, are read as their expected.json says."""

from __future__ import annotations

import json
import math

import pytest

from millpond.state_processor.dump import dump_records
from millpond.state_processor.savepoint import Savepoint
from millpond.state_processor.summary import summarize

FOLDERS = [
    "1.20.5-rocksdb-incremental",
    "1.20.5-rocksdb-p2-heap-timers-canonical",
    "2.3.0-hashmap-canonical",
    "2.3.0-hashmap-none-checkpoint",
    "2.3.0-hashmap-p2-max300-snappy-canonical",
    "2.3.0-rocksdb-incremental",
    "2.3.0-rocksdb-p2-heap-timers-checkpoint",
]


def plain(value):
    """expected.json tags every float; records only what JSON has no number for. Order is free."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "double" in value:
        number = float(value["double"])
        return number if math.isfinite(number) else value
    if "names" in value and value["names"] == [f"f{i}" for i in range(len(value["row"]))]:
        value = {"row": value["row"]}
    if "map" in value or "set" in value:
        ((tag, items),) = value.items()
        return {tag: sorted((plain(item) for item in items), key=text)}
    return {tag: plain(item) for tag, item in value.items()}


def text(value):
    return json.dumps(value, sort_keys=True)


def type_text(declared):
    """Turn the fixtures' way to write a type, ROW(STRING, LONG), into ours."""
    return (
        declared.replace(
            "ROW_NAMED(('city', 'size'), (STRING, INT))", "ROW<city: STRING, size: INT>"
        )
        .replace("(", "<")
        .replace(")", ">")
    )


def declared_types(operator):
    types = {}
    for state in operator.get("keyed_state", []):
        names = (state["key_type"], state["type"]) if state["kind"] == "MAP" else (state["type"],)
        types[state["name"]] = ", ".join(map(type_text, names))
    return types


def entries_of(state):
    """The (key, map key, value) texts that expected.json means."""
    for entry in state["entries"]:
        key, value = plain(entry["key"]), plain(entry["value"])
        if state["kind"] == "MAP":
            yield from (text((key, *pair)) for pair in value["map"])
        elif state["kind"] == "LIST":
            yield text((key, None, value["list"]))
        else:
            # To Flink every kind but maps is a list.
            yield text((key, None, [value]))


@pytest.mark.parametrize("folder", FOLDERS)
def test_keyed_state_and_timers(flink_snapshots, folder):
    path, expected = flink_snapshots[folder]
    savepoint = Savepoint.open(path)
    assert savepoint.loaded.is_from_flink
    for operator in expected["operators"]:
        records = list(
            dump_records(
                savepoint,
                [operator["operator_id"]],
                allow_pickle=True,
                types=declared_types(operator),
            )
        )
        for state in operator.get("keyed_state", []):
            found = [
                text((plain(r["key"]), plain(r.get("map_key")), plain(r["value"])))
                for r in records
                if r["state"] == state["name"] and r["kind"] != "broadcast"
            ]
            assert sorted(found) == sorted(entries_of(state))
        for domain in ("event", "processing"):
            found = [
                text((plain(r["key"]), r.get("namespace"), r["timestamp"]))
                for r in records
                if r["state"] == f"{domain} timers"
            ]
            assert sorted(found) == sorted(
                text((plain(t["key"]), t.get("namespace_window"), t["timestamp"]))
                for t in operator["timers"][f"{domain}_time"]
            )


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_unpickled_unless_that_is_allowed(flink_snapshots, folder, monkeypatch):
    def refuse(data):
        raise AssertionError("something was unpickled")

    monkeypatch.setattr("millpond.serialization.pickle_names.pickle.loads", refuse)
    monkeypatch.setattr("millpond.state_processor.decoding.load_pickle", refuse)
    path, expected = flink_snapshots[folder]
    savepoint = Savepoint.open(path)
    types = {}
    for operator in expected["operators"]:
        types.update(declared_types(operator))
    assert list(dump_records(savepoint, types=types))


def test_windows_and_broadcast_state(flink_snapshots):
    path, expected = flink_snapshots["2.3.0-hashmap-canonical"]
    savepoint = Savepoint.open(path)
    (session,) = (o for o in expected["operators"] if o["uid"] == "session-list")
    contents = list(
        dump_records(
            savepoint,
            ["session-list"],
            state="window-contents",
            types={"window-contents": "TUPLE<STRING, LONG>"},
        )
    )
    assert sorted(text((r["key"], r["namespace"], r["value"])) for r in contents) == sorted(
        text((w["key"], w["state_window"], w["contents"]["list"])) for w in session["windows"]
    )
    rules = list(
        dump_records(savepoint, ["broadcasting"], state="rules", types={"rules": "STRING, LONG"})
    )
    (broadcasting,) = (o for o in expected["operators"] if o["uid"] == "broadcasting")
    (wanted,) = (s for s in broadcasting["broadcast_state"] if s["name"] == "rules")
    assert sorted([r["map_key"], r["value"]] for r in rules) == sorted(wanted["value"]["map"])
    assert {(r["kind"], r["subtask"]) for r in rules} == {("broadcast", 0)}


def test_thread_mode_is_shown_as_java_holds_it(flink_snapshots):
    path, expected = flink_snapshots["1.20.5-hashmap-thread-canonical"]
    (operator,) = (o for o in expected["operators"] if o["uid"] == "five-kinds")
    records = list(dump_records(Savepoint.open(path), ["five-kinds"], state="count"))
    (state,) = (s for s in operator["keyed_state"] if s["name"] == "count")
    assert sorted(text((r["key"], r["value"])) for r in records) == sorted(
        text((e["key"], e["value"])) for e in state["entries"]
    )
    scores = list(dump_records(Savepoint.open(path), ["five-kinds"], state="scores", key="a"))
    assert sorted((r["map_key"], r["value"]) for r in scores) == [("one", 1), ("two", -1)]


def test_a_summary_counts_entries_and_finds_large_keys(flink_snapshots):
    path, expected = flink_snapshots["2.3.0-hashmap-canonical"]
    savepoint = Savepoint.open(path)
    (operator,) = savepoint.select(["five-kinds"])
    summaries = {
        s.state.name: s for s in summarize(savepoint, savepoint.describe(operator), largest=2)
    }
    (wanted,) = (o for o in expected["operators"] if o["uid"] == "five-kinds")
    for state in wanted["keyed_state"]:
        assert summaries[state["name"]].entries == len(list(entries_of(state)))
    sizes = [key.size_bytes for key in summaries["scores"].largest_keys]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)
    assert summaries["scores"].largest_keys[0].key.startswith("long-k")


def test_states_of_millpond_have_kinds_and_types(millpond_savepoint):
    savepoint = Savepoint.open(millpond_savepoint)
    (operator,) = savepoint.select(["keeper"])
    states = {s.name: f"{s.kind} {s.types}".strip() for s in savepoint.describe(operator).states}
    assert states == {
        "last": "VALUE LONG",
        "all": "LIST INT",
        "squares": "MAP STRING, LONG",
        "total": "REDUCING LONG",
        "longest": "AGGREGATING STRING",
        "anything": "VALUE PICKLED",
        "event timers": "timers",
        "processing timers": "timers",
    }
