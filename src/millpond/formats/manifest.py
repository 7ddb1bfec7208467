"""RocksDB's MANIFEST: which table files of a database are live, and in which column family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.errors import FormatError
from millpond.formats.snappy_frames import masked_crc32c
from millpond.formats.sst_block import read_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("LiveFile", "Manifest", "read_manifest")

_BLOCK_BYTES = 1 << 15
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_RECYCLABLE = 4

_NEW_FILE = 7
_NEW_FILE_2 = 100
_NEW_FILE_3 = 102
_NEW_FILE_4 = 103
_SAFE_TO_IGNORE = 1 << 13


@dataclass(frozen=True, slots=True)
class LiveFile:
    """One live table file; `smallest_sequence` is that of all keys of an ingested file."""

    number: int
    size: int
    smallest_sequence: int


@dataclass(slots=True)
class Manifest:
    """The state after all edits.

    Attributes:
        column_families: names by id.
        files: live files by column family id, then file number.
    """

    column_families: dict[int, str] = field(default_factory=lambda: {0: "default"})
    files: dict[int, dict[int, LiveFile]] = field(default_factory=dict)


def read_manifest(data: bytes) -> Manifest:
    """Read a MANIFEST file and apply its edits in order.

    Raises:
        FormatError: it is damaged or holds something that is not known.
    """
    manifest = Manifest()
    for record in _records(data):
        _Edit(record, manifest).apply()
    return manifest


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a RocksDB log, put together from fragments."""
    at = 0
    pieces: list[bytes] = []
    while at < len(data):
        left_in_block = _BLOCK_BYTES - at % _BLOCK_BYTES
        if left_in_block < 7:
            at += left_in_block
            continue
        header = data[at : at + 7]
        if len(header) < 7 or not any(header):
            break
        size = int.from_bytes(header[4:6], "little")
        kind = header[6]
        # Recyclable records carry a log number behind the common header.
        extra = 4 if kind > _LAST else 0
        kind -= _RECYCLABLE if kind > _LAST else 0
        start = at + 7 + extra
        body = data[start : start + size]
        if not _FULL <= kind <= _LAST or len(body) != size:
            raise FormatError("A record of a manifest is damaged.", offset=at)
        if masked_crc32c(data[at + 6 : start + size]) != int.from_bytes(header[:4], "little"):
            raise FormatError("A record of a manifest has a wrong checksum.", offset=at)
        if (kind in (_FULL, _FIRST)) == bool(pieces):
            raise FormatError("A record of a manifest is out of order.", offset=at)
        pieces.append(body)
        at = start + size
        if kind in (_FULL, _LAST):
            yield b"".join(pieces)
            pieces.clear()
    if pieces:
        raise FormatError("A manifest ends inside a record.", offset=at)


class _Edit:
    """One record: numbered fields, each with its own form."""

    def __init__(self, record: bytes, manifest: Manifest) -> None:
        self._record = record
        self._at = 0
        self._manifest = manifest
        self._column_family = 0
        self._added: list[LiveFile] = []
        self._deleted: list[int] = []

    def apply(self) -> None:
        while self._at < len(self._record):
            tag = self.number()
            action = _FIELDS.get(tag)
            if action is not None:
                action(self)
            elif tag & _SAFE_TO_IGNORE:
                self.text()
            else:
                raise FormatError("Unknown field in a manifest.", tag=tag, offset=self._at)
        files = self._manifest.files.setdefault(self._column_family, {})
        for number in self._deleted:
            files.pop(number, None)
        for file in self._added:
            files[file.number] = file

    def number(self) -> int:
        value, self._at = read_varint(self._record, self._at)
        return value

    def text(self) -> bytes:
        size = self.number()
        end = self._at + size
        if end > len(self._record):
            raise FormatError("A manifest ends inside a field.", offset=self._at)
        value = self._record[self._at : end]
        self._at = end
        return value

    def level_and_key(self) -> None:
        self.number()
        self.text()

    def delete_file(self) -> None:
        self.number()
        self._deleted.append(self.number())

    def new_file(self, version: int) -> None:
        self.number()
        number = self.number()
        if version == _NEW_FILE_3:
            self.number()
        size = self.number()
        self.text()
        self.text()
        sequence = 0
        if version != _NEW_FILE:
            sequence = self.number()
            self.number()
        if version == _NEW_FILE_4:
            while self.number() != 1:
                self.text()
        self._added.append(LiveFile(number, size, sequence))

    def set_column_family(self) -> None:
        self._column_family = self.number()

    def add_column_family(self) -> None:
        name = self.text().decode("utf-8", "replace")
        self._manifest.column_families[self._column_family] = name

    def drop_column_family(self) -> None:
        self._manifest.column_families.pop(self._column_family, None)
        self._manifest.files.pop(self._column_family, None)


def _new_file(version: int) -> Callable[[_Edit], None]:
    return lambda edit: edit.new_file(version)


_FIELDS: dict[int, Callable[[_Edit], object]] = {
    1: _Edit.text,  # comparator
    2: _Edit.number,  # log number
    3: _Edit.number,  # next file number
    4: _Edit.number,  # last sequence
    5: _Edit.level_and_key,  # compaction cursor
    6: _Edit.delete_file,
    _NEW_FILE: _new_file(_NEW_FILE),
    9: _Edit.number,  # previous log number
    10: _Edit.number,  # smallest log number to keep
    _NEW_FILE_2: _new_file(_NEW_FILE_2),
    _NEW_FILE_3: _new_file(_NEW_FILE_3),
    _NEW_FILE_4: _new_file(_NEW_FILE_4),
    200: _Edit.set_column_family,
    201: _Edit.add_column_family,
    202: _Edit.drop_column_family,
    203: _Edit.number,  # largest column family
    300: _Edit.number,  # edits left in an atomic group
}
