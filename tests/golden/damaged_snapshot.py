"""`DamagedSnapshot`: what a damaged byte of a snapshot of Flink does, read as little as possible.

A snapshot is read in units: the keyed state, the timers or the operator state of one handle. A unit
depends on its handle and its own streams only, and of a stream with key groups each group depends
on the header and its own bytes. So after damage only these are read again; `thorough` reads all, to
show that it makes no difference.
"""

from __future__ import annotations

import bisect
import gzip
import io
from pathlib import Path
from typing import Any, NamedTuple

from tests.golden.damage_kinds import EQUAL, ERROR, difference, says_where

from millpond.errors import FormatError
from millpond.formats import canonical_reader, heap_body
from millpond.formats.handles import (
    IncrementalHandle,
    InlineHandle,
    KeyGroupsHandle,
    RelativeFileHandle,
)
from millpond.formats.keyed_header import read_keyed_header_from
from millpond.formats.manifest import read_manifest
from millpond.formats.metadata import read_metadata
from millpond.formats.operator_state import read_operator_state
from millpond.formats.savepoint_content import read_handle_content
from millpond.formats.sst import SstFile

RECORDED_ROOT = "file:/flink/savepoints/"
_FLIPS = (0x01, 0x80, 0xFF)
# Inline streams shorter than this could stand somewhere else as well.
_MIN_REGION_BYTES = 64


class Unit(NamedTuple):
    """What is read at once: `kind` is managed, timers or operator."""

    kind: str
    subtask: int
    handle: Any
    max_parallelism: int

    def streams(self):
        if isinstance(self.handle, IncrementalHandle):
            files = (*self.handle.shared, *self.handle.private)
            return [self.handle.meta, *(stream for _, stream in files)]
        return [self.handle.stream]


class Region(NamedTuple):
    """Where in `_metadata` the bytes of an inline stream are."""

    start: int
    end: int
    unit: int
    stream: InlineHandle


def units_of(metadata) -> list[Unit]:
    units = []
    for operator in metadata.operators:
        for index, subtask in operator.subtasks.items():
            if subtask.operator_managed is not None:
                units.append(Unit("operator", index, subtask.operator_managed, 0))
            for kind, handles in (
                ("managed", subtask.keyed_managed),
                ("timers", subtask.keyed_raw),
            ):
                units.extend(Unit(kind, index, each, operator.max_parallelism) for each in handles)
    return units


class DamagedSnapshot:
    """One snapshot; files are those that it reads, `_metadata` first."""

    def __init__(self, path: Path, root: Path) -> None:
        self.root = root
        self.directory = path.parent
        self.metadata_path = path
        data = path.read_bytes()
        self.data = {path: data}
        self.metadata = read_metadata(data)
        self.units = units_of(self.metadata)
        self.opened: list[list[Any]] = []
        self.entries = []
        self.users: dict[Path, list[tuple[int, Any]]] = {}
        self.headers: dict[bytes, Any] = {}
        for number, unit in enumerate(self.units):
            opened: list[Any] = []
            self.entries.append(self.read(unit, opened=opened))
            self.opened.append(opened)
            for stream in opened:
                if not isinstance(stream, InlineHandle):
                    self.users.setdefault(self.path(stream), []).append((number, stream))
        assert sum(map(len, self.entries))
        self.groups = [self._by_group(number) for number in range(len(self.units))]
        self.regions = sorted(self._find_regions(), key=lambda region: region.start)
        self.cut_regions: dict[Region, str] = {}
        self.unread = {
            self.path(stream)
            for unit in self.units
            for stream in unit.streams()
            if not isinstance(stream, InlineHandle)
        } - self.users.keys()

    def path(self, handle) -> Path:
        if isinstance(handle, RelativeFileHandle):
            return self.directory / handle.name
        return self.root / handle.path.removeprefix(RECORDED_ROOT)

    def load(self, path: Path) -> bytes | None:
        if path not in self.data:
            packed = Path(f"{path}.gz")
            if not path.exists() and not packed.exists():
                return None
            found = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
            self.data[path] = found
        return self.data[path]

    def read(self, unit: Unit, *, damaged=None, key_groups=None, opened=None):
        """The entries of a unit; `damaged` is a function from a stream to its bytes, or None."""

        def open_stream(handle):
            if opened is not None:
                opened.append(handle)
            data = damaged(handle) if damaged else None
            if data is None:
                inline = isinstance(handle, InlineHandle)
                data = handle.data if inline else self.load(self.path(handle))
            if data is None or len(data) != handle.size:
                # What a storage does for a path or a length that a flipped byte made up.
                raise FormatError("There is no such file.", offset=0)
            return io.BytesIO(data)

        if unit.kind == "operator":
            return [
                (
                    unit.subtask,
                    read_operator_state(open_stream(unit.handle.stream), unit.handle),
                )
            ]
        return list(
            read_handle_content(
                unit.handle, unit.max_parallelism, open_stream, key_groups=key_groups
            )
        )

    # Damage of a file, or of the state inside of `_metadata`.

    def flip(self, path: Path, at: int, bits: int, *, thorough: bool = False) -> str:
        """What becomes of a flipped byte."""
        data = self.data[path]
        damaged = b"".join((data[:at], bytes((data[at] ^ bits,)), data[at + 1 :]))
        if path != self.metadata_path:
            return self._merged(
                self._stream(unit, stream, at, damaged, thorough)
                for unit, stream in self.users[path]
            )
        region = self._region(at)
        if region is not None and not thorough:
            inside = damaged[region.start : region.end]
            return self._stream(region.unit, region.stream, at - region.start, inside, False)
        return self._metadata(damaged)

    def cut(self, path: Path, at: int, *, thorough: bool = False) -> str:
        """What becomes of a file that ends early: only properties may be cut, nobody reads them."""
        damaged = self.data[path][:at]
        if path != self.metadata_path:
            # Storages refuse a file of another length when it is opened.
            if not thorough:
                return ERROR
            return self._merged(
                self._whole(unit, stream, damaged) for unit, stream in self.users[path]
            )
        region = self._region(at)
        if region is None or thorough or at == region.start:
            return self._metadata(damaged)
        # Its bytes are taken at once: the last byte missing is the most that can be read.
        if region not in self.cut_regions:
            self.cut_regions[region] = self._metadata(self.data[path][: region.end - 1])
        return self.cut_regions[region]

    def _region(self, at: int) -> Region | None:
        place = bisect.bisect_right(self.regions, at, key=lambda region: region.start) - 1
        return self.regions[place] if place >= 0 and at < self.regions[place].end else None

    def _merged(self, verdicts) -> str:
        found = set(verdicts) - {EQUAL}
        if ERROR in found:
            return ERROR
        assert len(found) <= 1, found
        return found.pop() if found else EQUAL

    def _metadata(self, damaged: bytes) -> str:
        try:
            metadata = read_metadata(damaged)
            entries, others = [], []
            units = units_of(metadata)
            for number, unit in enumerate(units):
                if number < len(self.units) and unit == self.units[number]:
                    if len(units) == len(self.units):
                        continue
                    others.extend(self.entries[number])
                else:
                    others.extend(self.read(unit))
                if len(units) == len(self.units):
                    entries.extend(self.entries[number])
        except FormatError as error:
            return self._error(error)
        if len(units) != len(self.units):
            entries = [each for unit in self.entries for each in unit]
        return difference(self.metadata, metadata, entries, others)

    def _error(self, error: FormatError) -> str:
        return ERROR if says_where(error) else "error without a place"

    def _stream(self, number: int, stream, at: int, damaged: bytes, thorough: bool) -> str:
        if not any(each is stream for each in self.opened[number]):
            return EQUAL
        unit = self.units[number]
        if thorough or unit.kind == "operator":
            return self._whole(number, stream, damaged)
        if isinstance(unit.handle, KeyGroupsHandle):
            return self._group(number, stream, at, damaged)
        return self._database_file(number, stream, damaged)

    def _whole(self, number: int, stream, damaged: bytes) -> str:
        try:
            found = self.read(
                self.units[number], damaged=lambda each: damaged if each is stream else None
            )
        except FormatError as error:
            return self._error(error)
        return difference(None, None, self.entries[number], found)

    def _by_group(self, number: int):
        groups: dict[int, list[Any]] = {}
        if self.units[number].kind != "operator":
            for entry in self.entries[number]:
                groups.setdefault(entry.key_group, []).append(entry)
        return groups

    def _group(self, number: int, stream, at: int, damaged: bytes) -> str:
        unit = self.units[number]
        first = unit.handle.first_key_group
        starts = [
            (offset, first + index)
            for index, offset in enumerate(unit.handle.offsets)
            if offset or unit.kind == "timers"
        ]
        place = bisect.bisect_right(starts, (at, 1 << 15)) - 1
        # The first group of timers is the header of the others.
        if place < 0 or (unit.kind == "timers" and place == 0):
            return self._whole(number, stream, damaged)
        # Four bytes tell the layout, where the handle does not.
        if not unit.handle.savepoint and at - starts[place][0] < 4:
            return self._whole(number, stream, damaged)
        group = starts[place][1]
        with self.known_headers(starts[0][0]):
            try:
                found = self.read(unit, damaged=lambda _: damaged, key_groups=(group, group))
            except FormatError as error:
                return self._error(error)
        return difference(None, None, self.groups[number].get(group, []), found)

    def _database_file(self, number: int, stream, damaged: bytes) -> str:
        """A file alone is refused, or holds the same, or the whole database is read again."""
        unit = self.units[number]
        (name,) = [
            name
            for name, each in (
                ("meta", unit.handle.meta),
                *unit.handle.shared,
                *unit.handle.private,
            )
            if each is stream
        ]
        intact = stream.data if isinstance(stream, InlineHandle) else self.load(self.path(stream))
        read = _table if name.endswith(".sst") else read_manifest
        if name == "meta":
            return self._whole(number, stream, damaged)
        try:
            if read(damaged) == read(intact):
                return EQUAL
        except FormatError as error:
            return self._error(error)
        return self._whole(number, stream, damaged)

    def known_headers(self, size: int):
        return _KnownHeaders(self.headers, size)

    def _find_regions(self):
        """Yield the inline streams whose bytes were shown not to concern the rest of the file."""
        data = self.data[self.metadata_path]
        position = 0
        for number, unit in enumerate(self.units):
            starts = []
            for stream in unit.streams():
                if not isinstance(stream, InlineHandle) or stream.size < _MIN_REGION_BYTES:
                    continue
                sized = stream.size.to_bytes(4, "big") + stream.data
                start = data.index(sized, position) + 4
                starts.append(start)
                region = Region(start, start + stream.size, number, stream)
                if all(self._is_opaque(region, bits) for bits in _FLIPS):
                    yield region
            position = min(starts, default=position)

    def _is_opaque(self, region: Region, bits: int) -> bool:
        data = self.data[self.metadata_path]
        other = bytes(each ^ bits for each in region.stream.data)
        metadata = read_metadata(data[: region.start] + other + data[region.end :])
        units = units_of(metadata)
        same = all(
            one == two
            for number, (one, two) in enumerate(zip(self.units, units, strict=True))
            if number != region.unit
        )
        before, after = self.units[region.unit].streams(), units[region.unit].streams()
        return (
            same
            and [
                InlineHandle(other, each.name) if each is region.stream else each for each in before
            ]
            == after
        )


class _KnownHeaders:
    """Keeps headers by their bytes: a function of nothing else."""

    def __init__(self, known: dict[bytes, Any], size: int) -> None:
        self.known = known
        self.size = size

    def read(self, stream: io.BytesIO):
        header = stream.getvalue()[: self.size]
        if header not in self.known:
            found, end = read_keyed_header_from(stream)
            assert end == self.size
            self.known[header] = found
        return self.known[header], self.size

    def __enter__(self):
        canonical_reader.read_keyed_header_from = self.read
        heap_body.read_keyed_header_from = self.read

    def __exit__(self, *_):
        canonical_reader.read_keyed_header_from = read_keyed_header_from
        heap_body.read_keyed_header_from = read_keyed_header_from


def _table(data: bytes):
    table = SstFile(io.BytesIO(data), "x.sst")
    return table.properties, table.range_deletions, list(table.entries())
