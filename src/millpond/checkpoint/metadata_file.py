"""The seal behind Flink's `_metadata`: whose it is, and whether it is whole.

Flink stops reading where the metadata ends, so sixteen bytes may follow: CRC-32C of everything
before (u32), flags (u32, bit 0: a checksum file must stand beside it), `MILLPOND`. A snapshot
without a seal was written by Flink.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.checkpoint.checksum import checksum_of
from millpond.errors import FormatError, SnapshotCorruptedError
from millpond.formats.metadata import read_metadata, write_metadata

if TYPE_CHECKING:
    from millpond.formats.handles import CheckpointMetadata

__all__ = ("METADATA_FILE_NAME", "MetadataFile", "decode_metadata_file", "encode_metadata_file")

METADATA_FILE_NAME = "_metadata"
_SEAL = struct.Struct(">II8s")
_MARK = b"MILLPOND"
_HAS_SIDECAR = 1


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """The content of a `_metadata` file; `has_sidecar` is False for what Flink wrote."""

    metadata: CheckpointMetadata
    sealed: bool
    has_sidecar: bool


def encode_metadata_file(metadata: CheckpointMetadata, *, has_sidecar: bool) -> bytes:
    """Return the bytes of a sealed `_metadata` file. Raises FormatError."""
    body = write_metadata(metadata)
    flags = _HAS_SIDECAR if has_sidecar else 0
    return body + _SEAL.pack(checksum_of(body).crc32c, flags, _MARK)


def decode_metadata_file(data: bytes, path: str) -> MetadataFile:
    """Read a `_metadata` file of Millpond or Flink.

    Raises:
        SnapshotCorruptedError: it is empty, truncated, damaged or no metadata at all.
    """
    sealed = data.endswith(_MARK) and len(data) > _SEAL.size
    has_sidecar = False
    body = data
    if sealed:
        body = data[: -_SEAL.size]
        crc32c, flags, _ = _SEAL.unpack(data[-_SEAL.size :])
        if crc32c != checksum_of(body).crc32c or flags & ~_HAS_SIDECAR:
            raise _damaged(path, "its checksum does not match")
        has_sidecar = bool(flags & _HAS_SIDECAR)
    try:
        metadata = read_metadata(body)
    except FormatError as error:
        raise _damaged(path, str(error) if body else "it is empty") from error
    return MetadataFile(metadata, sealed, has_sidecar)


def _damaged(path: str, reason: str) -> SnapshotCorruptedError:
    return SnapshotCorruptedError(
        f"The metadata file of the snapshot cannot be used: {reason.rstrip('.')}.",
        hint="Restore from another checkpoint or savepoint.",
        path=path,
    )
