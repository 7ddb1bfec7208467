"""The results of the flights job: their digest, and what a person wants to see of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millpond.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ("Highlights", "digest", "highlights", "read_lines")

_TOP = 5
_NEW_YORK = dt.timedelta(hours=-5)


def read_lines(directory: Path) -> list[bytes]:
    """Return the lines of all visible part files, sorted: their order depends on the parallelism.

    Raises:
        DataFileError: a part file cannot be read, or does not end with a whole line.
    """
    lines: list[bytes] = []
    if not directory.is_dir():
        return lines
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataFileError(
                f"A result file cannot be read: {error.strerror}.", file=str(path)
            ) from error
        if content and not content.endswith(b"\n"):
            raise DataFileError("A result file ends within a line.", file=str(path))
        lines += content.splitlines()
    lines.sort()
    return lines


def digest(lines: Iterable[bytes]) -> str:
    """Return the SHA-256 of sorted lines, each with its line end, as hexadecimal digits."""
    algorithm = hashlib.sha256()
    for line in lines:
        algorithm.update(line)
        algorithm.update(b"\n")
    return algorithm.hexdigest()


@dataclass(frozen=True, slots=True)
class Highlights:
    """What the results come to.

    Attributes:
        counts: how many results there are of each kind.
        routes: route, minutes that its flights arrived late in the year; the worst first.
        chains: the longest chains of knock-on delays: the result of each chain's last link.
        missing: aircraft that flew daily for longest and then were missing.
        hours: the airport hours with the most cancellations, one of each day.
        late: flights that came too late to be counted in their hour.
    """

    counts: dict[str, int]
    routes: tuple[tuple[str, int], ...]
    chains: tuple[dict[str, Any], ...]
    missing: tuple[dict[str, Any], ...]
    hours: tuple[dict[str, Any], ...]
    late: int


def highlights(lines: Iterable[bytes]) -> Highlights:
    """Return what stands out in the results.

    Raises:
        DataFileError: a line is not a result of the job.
    """
    counts: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    by_kind: dict[str, list[dict[str, Any]]] = {"knock_on": [], "missing": [], "hour": []}
    for line in lines:
        try:
            result = json.loads(line)
            kind = result["kind"]
            if kind == "account":
                routes.update(result["routes"])
        except (ValueError, TypeError, KeyError) as error:
            text = line[:80].decode(errors="replace")
            raise DataFileError("A line is no result of the flights job.", line=text) from error
        counts[kind] += 1
        if kind in by_kind:
            by_kind[kind].append(result)
    return Highlights(
        dict(sorted(counts.items())),
        tuple(sorted(routes.items(), key=lambda route: (-route[1], route[0]))[:_TOP]),
        _top(by_kind["knock_on"], "chain_minutes", lambda result: result["aircraft"]),
        _top(by_kind["missing"], "daily_for_days", lambda result: result["aircraft"]),
        _top(by_kind["hour"], "cancelled", lambda result: _day(result["hour"])),
        counts["late"],
    )


def _day(hour: str) -> dt.date:
    return (dt.datetime.fromisoformat(hour) + _NEW_YORK).date()


def _top(
    results: list[dict[str, Any]], name: str, group: Callable[[dict[str, Any]], object]
) -> tuple[dict[str, Any], ...]:
    """Return the results with the highest field, only the first of each group."""
    # Ties are broken by the whole result, so that the table is the same in every run.
    results.sort(key=lambda result: (-result[name], json.dumps(result, sort_keys=True)))
    found: list[dict[str, Any]] = []
    seen: set[object] = set()
    for result in results:
        if group(result) not in seen:
            seen.add(group(result))
            found.append(result)
        if len(found) == _TOP:
            break
    return tuple(found)
