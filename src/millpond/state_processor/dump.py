"""`dump_records`: the entries of a snapshot as plain records, and writers of JSON, CSV, Parquet."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.errors import MissingDependencyError, SavepointMismatchError
from millpond.state_processor.decoding import EntryDecoder
from millpond.state_processor.entries import read_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO

    from millpond.state_processor.entries import StateEntry
    from millpond.state_processor.savepoint import OperatorContent, Savepoint

__all__ = ("COLUMNS", "dump_records", "record_of", "write_csv", "write_jsonl", "write_parquet")

COLUMNS: Final = (
    "operator",
    "state",
    "kind",
    "key",
    "namespace",
    "map_key",
    "value",
    "timestamp",
    "last_access_ms",
    "subtask",
)
"""What records have; key, namespace, map key and value are JSON text in tables."""

_JSON_COLUMNS: Final = frozenset({"key", "namespace", "map_key", "value", "last_access_ms"})
_encode = msgspec.json.Encoder().encode
_PARQUET_ROWS: Final = 10_000
_PARQUET_CHARACTERS: Final = 8 << 20


def dump_records(
    savepoint: Savepoint,
    operators: Sequence[str] = (),
    *,
    state: str | None = None,
    key: str | None = None,
    allow_pickle: bool = False,
    types: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Iterate over the entries as records with the columns of `COLUMNS` that apply.

    Args:
        savepoint: the opened snapshot.
        operators: uid, name or id of those wanted; all by default.
        state: name of the only state wanted.
        key: the only key wanted: a text, or the key as JSON.
        allow_pickle: load pickles, which may run code.
        types: declared types by name of the state, where the snapshot does not record them.

    Raises:
        SavepointMismatchError: there is no such operator or state.
        FormatError: state is damaged or of a kind that cannot be read.
    """
    wanted = None if key is None else _wanted_key(key)
    contents = [savepoint.describe(operator) for operator in savepoint.select(operators)]
    if state is not None:
        _check_state(savepoint, contents, state)
    for content in contents:
        decoder = EntryDecoder(content, allow_pickle=allow_pickle, types=types)
        for entry in read_entries(savepoint, content, state):
            if wanted is None or (entry.key and decoder.key(entry) in wanted):
                yield record_of(content, entry, decoder)


def record_of(content: OperatorContent, entry: StateEntry, decoder: EntryDecoder) -> dict[str, Any]:
    """Return one entry as a record."""
    state = entry.state
    record: dict[str, Any] = {"operator": content.label, "state": state.name, "kind": state.kind}
    if entry.subtask >= 0:
        record["subtask"] = entry.subtask
    else:
        record["key"] = decoder.key(entry)
        if state.namespace != "void":
            record["namespace"] = decoder.namespace(entry)
    if entry.timestamp is not None:
        record["timestamp"] = entry.timestamp
        return record
    if state.kind in {"MAP", "broadcast"}:
        record["map_key"] = decoder.map_key(entry)
    record["value"] = decoder.value(entry)
    if entry.times:
        record["last_access_ms"] = list(entry.times)
    return record


def write_jsonl(records: Iterable[Mapping[str, Any]], out: IO[str]) -> None:
    """Write a line of JSON for each record."""
    out.writelines(json_text(record) + "\n" for record in records)


def write_csv(records: Iterable[Mapping[str, Any]], out: IO[str]) -> None:
    """Write a header and a line for each record; an absent column is empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow([_cell(record, column) for column in COLUMNS])


def write_parquet(records: Iterable[Mapping[str, Any]], out: IO[bytes]) -> None:
    """Write a Parquet file, ten thousand rows or eight million characters at a time.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need pyarrow, which is not installed.",
            hint="Run: pip install 'millpond[parquet]'",
        ) from error
    numbers = {"timestamp": pa.int64(), "subtask": pa.int32()}
    schema = pa.schema([(column, numbers.get(column, pa.string())) for column in COLUMNS])
    columns: dict[str, list[Any]] = {column: [] for column in COLUMNS}
    rows = characters = 0
    with parquet.ParquetWriter(out, schema) as writer:
        for record in records:
            rows += 1
            for column, cells in columns.items():
                cell = _encodable(_cell(record, column))
                cells.append(cell)
                if isinstance(cell, str):
                    characters += len(cell)
            if rows == _PARQUET_ROWS or characters >= _PARQUET_CHARACTERS:
                writer.write_table(pa.table(columns, schema))
                columns = {column: [] for column in COLUMNS}
                rows = characters = 0
        writer.write_table(pa.table(columns, schema))


def _check_state(savepoint: Savepoint, contents: Sequence[OperatorContent], state: str) -> None:
    names = {stored.name for content in contents for stored in content.states}
    if state not in names:
        raise SavepointMismatchError(
            f"No operator has a state {state!r}.",
            hint=f"There are: {', '.join(sorted(names)) or 'none'}.",
            path=savepoint.loaded.external_path,
        )


def _cell(record: Mapping[str, Any], column: str) -> Any:
    if column not in record:
        return None
    if column in _JSON_COLUMNS:
        return json_text(record[column])
    return record[column]


def json_text(value: Any) -> str:
    """Return JSON in one line, with text as it is, but for what is no Unicode."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        # Java can write half of a surrogate pair.
        return json.dumps(value)


def _encodable(cell: Any) -> Any:
    if isinstance(cell, str) and not cell.isascii():
        return cell.encode("utf-8", "backslashreplace").decode("utf-8")
    return cell


def _wanted_key(text: str) -> list[Any]:
    """Return what a key on the command line may mean: itself, or what it says as JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(value, list):
        # Tuples are the only keys with several parts.
        return [value, {"tuple": value}]
    # True is 1 to Python; a key of text must not hide a number.
    return [text, value] if not isinstance(value, str) else [value]
