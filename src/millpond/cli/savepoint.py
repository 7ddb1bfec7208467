"""`millpond savepoint`: show, dump, compare and seal savepoints of Millpond and Flink."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from millpond.cli.dump_output import dump_output
from millpond.cli.savepoint_options import FORMAT, print_taken
from millpond.cli.savepoint_seal import seal_command

if TYPE_CHECKING:
    from millpond.formats.flink_limits import FlinkLimit
    from millpond.state_processor.difference import Change
    from millpond.state_processor.savepoint import OperatorContent, Savepoint
    from millpond.state_processor.summary import StateSummary

__all__ = ("command",)

_OPERATOR = click.option(
    "--operator", "operators", multiple=True, help="Only this one, by uid, name or id; repeatable."
)
_ALLOW_PICKLE = click.option(
    "--allow-pickle", is_flag=True, help="Load pickles. They can run any code: trust the snapshot."
)
_ESCAPED = "backslashreplace"
_JSON = click.option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")


@click.group("savepoint")
def command() -> None:
    """Show, dump, compare, seal and delete snapshots of Millpond and Flink.

    No pickle is loaded unless --allow-pickle is given.
    """
    # Java can write half of a surrogate pair.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)


@command.command("trigger")
@click.argument("job")
@click.argument("directory", required=False)
@FORMAT
def trigger_command(job: str, directory: str | None, *, savepoint_format: str) -> None:
    """Take a savepoint of the running JOB and print its path; the job goes on.

    JOB is an id, the beginning of one, or a name, of a job that `millpond list` shows. DIRECTORY
    is where the savepoint goes, instead of the configured place.
    """
    from millpond.engines.control_client import ask_job

    request = {
        "command": "savepoint",
        "directory": directory,
        "format": savepoint_format.lower(),
    }
    print_taken(ask_job(job, request))


@command.command("check", context_settings={"ignore_unknown_options": True})
@click.argument("job", type=click.Path(path_type=Path))
@click.argument("path")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("-D", "definitions", multiple=True, metavar="KEY=VALUE", help="Set an option.")
@click.option(
    "-n", "--allow-non-restored-state", is_flag=True, help="Drop state that no operator claims."
)
@_JSON
def check_command(
    job: Path,
    path: str,
    arguments: tuple[str, ...],
    *,
    definitions: tuple[str, ...],
    allow_non_restored_state: bool,
    as_lines: bool,
) -> None:
    """Say what would become of every state of PATH if the program JOB started from it.

    The job does not run and nothing is written: the program is executed up to its first
    `execute`, functions are opened to see which states they declare, and the first 10,000 rows of
    each state are decoded. ARGUMENTS are the program's own. The exit code is 1 if anything is
    refused.
    """
    from millpond.cli.savepoint_check import check_program, print_verdicts

    verdicts = check_program(
        job, path, arguments, definitions, allow_non_restored_state=allow_non_restored_state
    )
    if not print_verdicts(verdicts, as_lines=as_lines):
        sys.exit(1)


command.add_command(seal_command)


@command.command("dispose")
@click.argument("path")
def dispose_command(path: str) -> None:
    """Delete the savepoint PATH: its own files, and its directory if nothing else is in it.

    What is no complete savepoint is refused, checkpoints included: they belong to their job.
    """
    from millpond.checkpoint.disposal import dispose_savepoint

    dispose_savepoint(path)
    click.echo(f"Savepoint {path!r} is deleted.")


@command.command("show")
@click.argument("path")
@_OPERATOR
@_ALLOW_PICKLE
@_JSON
@click.option("--keys", default=3, show_default=True, help="Show so many of the largest keys.")
def show_command(
    path: str, operators: tuple[str, ...], *, allow_pickle: bool, as_lines: bool, keys: int
) -> None:
    """Show the operators of PATH, their states, kinds, types, entries, bytes and largest keys.

    Everything is read once, a piece at a time.
    """
    from millpond.checkpoint.operator_limits import operator_limits
    from millpond.state_processor.savepoint import Savepoint
    from millpond.state_processor.summary import summarize

    savepoint = Savepoint.open(path)
    chosen = savepoint.select(operators)
    if not as_lines:
        _print_heading(savepoint)
    for operator in chosen:
        content = savepoint.describe(operator)
        states = summarize(savepoint, content, largest=keys, allow_pickle=allow_pickle)
        if as_lines:
            click.echo(json.dumps(_operator_record(content, states), ensure_ascii=False))
        else:
            _print_operator(content, states, operator_limits(savepoint.loaded, operator))


@command.command("dump")
@click.argument("path")
@_OPERATOR
@click.option("--state", help="Only the state of this name.")
@click.option("--key", help="Only this key: a text, or JSON such as 42 or '[\"a\", 1]'.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    default="jsonl",
    show_default=True,
)
@click.option("--output", type=click.Path(dir_okay=False), help="A file instead of stdout.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="STATE=TYPE",
    help="Declared type of a state of Flink, which records none: 'total=LONG', 'm=STRING, LONG'.",
)
@_ALLOW_PICKLE
def dump_command(
    path: str,
    operators: tuple[str, ...],
    state: str | None,
    key: str | None,
    file_format: str,
    output: str | None,
    types: tuple[str, ...],
    *,
    allow_pickle: bool,
) -> None:
    """Write every entry of PATH as one record.

    Values whose type is not known, and pickles without --allow-pickle, are hexadecimal bytes.
    """
    from millpond.state_processor.dump import dump_records, write_csv, write_jsonl, write_parquet
    from millpond.state_processor.savepoint import Savepoint

    records = dump_records(
        Savepoint.open(path),
        operators,
        state=state,
        key=key,
        allow_pickle=allow_pickle,
        types=_declared_types(types),
    )
    if file_format == "parquet":
        if output is None and sys.stdout.isatty():
            raise click.BadParameter("A Parquet file needs a name.", param_hint="--output")
        with dump_output(output) as binary:
            write_parquet(records, binary)
        return
    write = write_csv if file_format == "csv" else write_jsonl
    with dump_output(output) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", errors=_ESCAPED, newline="")
        try:
            write(records, text)
        finally:
            text.detach()


@command.command("diff")
@click.argument("first")
@click.argument("second")
@_OPERATOR
@click.option("--ignore-last-access", is_flag=True, help="Do not compare times of state with TTL.")
@_ALLOW_PICKLE
@_JSON
def diff_command(
    first: str,
    second: str,
    operators: tuple[str, ...],
    *,
    ignore_last_access: bool,
    allow_pickle: bool,
    as_lines: bool,
) -> None:
    """Compare the state of FIRST and SECOND; the exit code is 1 if anything differs.

    Pickles with different bytes count as different values unless --allow-pickle lets them be
    loaded and compared.
    """
    from millpond.state_processor.difference import compare
    from millpond.state_processor.savepoint import Savepoint

    changes = compare(
        Savepoint.open(first),
        Savepoint.open(second),
        operators,
        allow_pickle=allow_pickle,
        times=not ignore_last_access,
    )
    count = 0
    for change in changes:
        count += 1
        record = _change_record(change, allow_pickle=allow_pickle)
        if as_lines:
            click.echo(json.dumps(record, ensure_ascii=False))
        else:
            _print_change(record)
    if not as_lines:
        click.echo("The state is the same." if count == 0 else f"{count} entries differ.")
    if count:
        raise click.exceptions.Exit(1)


def _print_heading(savepoint: Savepoint) -> None:
    loaded = savepoint.loaded
    writer = "Flink" if loaded.is_from_flink else "Millpond"
    click.echo(f"{loaded.external_path}")
    click.echo(
        f"written by {writer}, {savepoint.kind}, checkpoint {loaded.metadata.checkpoint_id}, "
        f"metadata version {loaded.metadata.version}"
    )


def _print_operator(
    content: OperatorContent, states: list[StateSummary], limits: list[FlinkLimit]
) -> None:
    from millpond.state_processor.savepoint import total_bytes

    operator = content.operator
    click.echo()
    uid = operator.uid and f"uid {operator.uid}"
    names = ", ".join(text for text in (operator.name, uid) if text)
    click.echo(
        f"operator {content.operator_id}{names and f' ({names})'}: "
        f"parallelism {operator.parallelism} of {operator.max_parallelism}, "
        f"{total_bytes(operator)} bytes"
    )
    if operator.coordinator is not None:
        click.echo(f"  positions of a source of Flink: {operator.coordinator.size} bytes")
    for summary in states:
        state = summary.state
        types = f"<{state.types}>" if state.types else ""
        extra = " with TTL" if state.ttl else ""
        window = "" if state.namespace in {"void", ""} else f" per {state.namespace}"
        click.echo(
            f"  {state.name}  {state.kind}{types}{extra}{window}  "
            f"{summary.entries} entries, {summary.size_bytes} bytes"
        )
        for key in summary.largest_keys:
            shown = json.dumps(key.key, ensure_ascii=False)
            click.echo(f"    key {_short(shown)}: {key.entries} entries, {key.size_bytes} bytes")
    for limit in limits:
        click.echo(f"  Apache Flink cannot use {limit}")


def _operator_record(content: OperatorContent, states: list[StateSummary]) -> dict[str, Any]:
    from millpond.state_processor.savepoint import total_bytes

    operator = content.operator
    return {
        "operator_id": content.operator_id,
        "uid": operator.uid or None,
        "name": operator.name or None,
        "parallelism": operator.parallelism,
        "max_parallelism": operator.max_parallelism,
        "size_bytes": total_bytes(operator),
        "states": [
            {
                "name": summary.state.name,
                "kind": summary.state.kind,
                "types": summary.state.types,
                "namespace": summary.state.namespace,
                "ttl": summary.state.ttl,
                "entries": summary.entries,
                "size_bytes": summary.size_bytes,
                "largest_keys": [
                    {"key": key.key, "entries": key.entries, "size_bytes": key.size_bytes}
                    for key in summary.largest_keys
                ],
            }
            for summary in states
        ],
    }


def _change_record(change: Change, *, allow_pickle: bool) -> dict[str, Any]:
    from millpond.state_processor.decoding import EntryDecoder
    from millpond.state_processor.dump import record_of

    decoder = EntryDecoder(change.operator, allow_pickle=allow_pickle)
    entry = change.first or change.second
    assert entry is not None
    record = record_of(change.operator, entry, decoder)
    for name in ("value", "last_access_ms"):
        record.pop(name, None)
    for side, held in (("first", change.first), ("second", change.second)):
        if held is None:
            continue
        values = record_of(change.operator, held, decoder)
        record[side] = {
            name: values[name] for name in ("value", "last_access_ms") if name in values
        }
    return record


def _print_change(record: dict[str, Any]) -> None:
    place = f"{record['operator']} {record['state']}"
    for name in ("key", "namespace", "map_key", "timestamp"):
        if name in record:
            label = name.replace("_", " ")
            place += f" {label} {_short(json.dumps(record[name], ensure_ascii=False))}"
    click.echo(place)
    for side, sign in (("first", "-"), ("second", "+")):
        if side in record:
            shown = ", ".join(
                json.dumps(each, ensure_ascii=False) for each in record[side].values()
            )
            click.echo(f"  {sign} {_short(shown, 300)}".rstrip())


def _short(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _declared_types(options: tuple[str, ...]) -> dict[str, str]:
    from millpond.state_processor.type_text import parse_types

    types: dict[str, str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or parse_types(text) is None:
            raise click.BadParameter(
                f"{option!r} is not a state's name, = and a type such as LONG or "
                "MAP<STRING, LONG>; for map state key and value type with a comma.",
                param_hint="--type",
            )
        types[name] = text
    return types
