"""Writes a savepoint of a given size, to measure the tools with; state like that of a large job.

usage: python tools/large_savepoint.py DIRECTORY [--gigabytes 5] [--scale 1] [--change 0]

One operator keyed by text with a value, a list with a few elements and a map, parallelism 1, no
compression; about 1 KB a key, `--scale` times that with longer values. `--change N` makes the
value of every Nth key another one, so that `millpond savepoint diff` has something to find. Then:

    /usr/bin/time -v millpond savepoint show A
    /usr/bin/time -v millpond savepoint dump A --format parquet --output A.parquet
    /usr/bin/time -v millpond savepoint diff A B
"""

from __future__ import annotations

import argparse
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from millpond.checkpoint.checksum import RunningChecksum
from millpond.checkpoint.metadata_file import encode_metadata_file
from millpond.checkpoint.sidecar import write_sidecar
from millpond.common.typeinfo import Types
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.handles import (
    CheckpointMetadata,
    KeyGroupsHandle,
    OperatorState,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.pyflink_serializers import keyed_state_meta
from millpond.formats.pyflink_values import encode_chunk, encode_map_key, encode_map_value
from millpond.runtime.operator_id import operator_id_of_uid
from millpond.serialization.key_serializer import key_serializer_for

_KEY_BYTES = 1100
_MAX_PARALLELISM = 128
_TEXT = struct.Struct(">i")
_STATES = (
    keyed_state_meta("count", is_map=False, signature="VALUE<LONG>"),
    keyed_state_meta("events", is_map=False, signature="LIST<STRING>"),
    keyed_state_meta("attributes", is_map=True, signature="MAP<STRING, STRING>"),
)


class Output:
    """A file that knows its checksum."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to an open file."""
        self._file = file
        self.running = RunningChecksum()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)
        self.running.update(data)

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self.running.size


def write(directory: Path, gigabytes: float, scale: int, change: int) -> None:
    """Write the savepoint, about a million keys a minute."""
    directory.mkdir(parents=True)
    keys = key_serializer_for(Types.STRING())
    key_snapshot = key_serializer_snapshot(Types.STRING())
    number_of_keys = int(gigabytes * (1 << 30) / (_KEY_BYTES * scale))
    groups: list[list[int]] = [[] for _ in range(_MAX_PARALLELISM)]
    for number in range(number_of_keys):
        groups[keys.key_group(f"customer-{number}", _MAX_PARALLELISM)].append(number)
    with (directory / "keyed-state").open("wb") as file:
        out = Output(file)
        writer = CanonicalWriter(out, KeyedHeader(key_snapshot, _STATES), 0, _MAX_PARALLELISM - 1)
        for group, numbers in enumerate(groups):
            writer.begin_key_group(group)
            prefixes = [
                (number, bytes((group,)) + keys.encode(f"customer-{number}") + b"\0")
                for number in numbers
            ]
            writer.write_entries(0, ((key, _count(number, change)) for number, key in prefixes))
            writer.write_entries(1, ((key, _events(number, scale)) for number, key in prefixes))
            for number, key in prefixes:
                writer.write_entries(2, _attributes(number, key, scale))
        offsets = writer.finish()
    checksum = out.running.value()
    stream = RelativeFileHandle("keyed-state", checksum.size)
    subtask = SubtaskState(keyed_managed=(KeyGroupsHandle(0, offsets, stream),))
    operator = OperatorState(operator_id_of_uid("customers"), 1, _MAX_PARALLELISM, {0: subtask})
    metadata = encode_metadata_file(CheckpointMetadata(1, (operator,)), has_sidecar=True)
    (directory / "_checksums").write_bytes(write_sidecar({"keyed-state": checksum}))
    (directory / "_metadata").write_bytes(metadata)
    print(f"{number_of_keys} keys, {checksum.size} bytes")


def _text(text: str) -> bytes:
    data = text.encode()
    return _TEXT.pack(len(data)) + data


def _count(number: int, change: int) -> bytes:
    value = number + 1 if change and number % change == 0 else number
    return encode_chunk(struct.pack(">q", value))


def _events(number: int, scale: int) -> bytes:
    filling = "x" * 60 * scale
    return encode_chunk(b"".join(_text(f"event-{number}-{i}-{filling}") for i in range(4)))


def _attributes(number: int, key: bytes, scale: int) -> list[tuple[bytes, bytes]]:
    return [
        (
            key + encode_map_key(_text(f"attribute-{i}")),
            encode_map_value(_text(f"{number}-" + "y" * 120 * scale)),
        )
        for i in range(4)
    ]


def main() -> int:
    """Write the savepoint that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--change", type=int, default=0)
    arguments = parser.parse_args()
    write(arguments.directory, arguments.gigabytes, arguments.scale, arguments.change)
    return 0


if __name__ == "__main__":
    sys.exit(main())
