"""`_checksums`: the file beside `_metadata` that says what every file must be.

Flink's metadata has no place for checksums, and Flink ignores this file. It is one line of JSON
and one line with the CRC-32C of the first, so that damage to it is not blamed on other files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.checkpoint.checksum import FileChecksum, checksum_of
from millpond.errors import SnapshotCorruptedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("SIDECAR_FILE_NAME", "read_sidecar", "write_sidecar")

SIDECAR_FILE_NAME = "_checksums"
_FORMAT = "millpond-checksums"
_VERSION = 1


def write_sidecar(files: Mapping[str, FileChecksum]) -> bytes:
    """Return the content of the sidecar.

    Keys are names of files beside `_metadata`, or the absolute paths and URLs that `_metadata`
    records.
    """
    import msgspec

    entries = {name: list(files[name]) for name in sorted(files)}
    line = msgspec.json.encode({"format": _FORMAT, "version": _VERSION, "files": entries})
    return line + f"\n{checksum_of(line).crc32c:08x}\n".encode()


def read_sidecar(data: bytes, path: str) -> dict[str, FileChecksum]:
    """Return the checksums by file name.

    Raises:
        SnapshotCorruptedError: it is damaged, or of a version that this Millpond does not know.
    """
    import msgspec

    line, _, rest = data.partition(b"\n")
    if rest != f"{checksum_of(line).crc32c:08x}\n".encode():
        raise _damaged(path, "its own checksum does not match")
    try:
        document = msgspec.json.decode(line)
        if document["format"] != _FORMAT or document["version"] != _VERSION:
            raise SnapshotCorruptedError(
                f"The checksum file has version {document['version']!r}; "
                f"this Millpond reads version {_VERSION}.",
                hint="Use the Millpond version that wrote the snapshot, or a newer one.",
                path=path,
            )
        return msgspec.convert(
            {name: tuple(entry) for name, entry in document["files"].items()},
            dict[str, FileChecksum],
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"it does not decode ({error})") from error


def _damaged(path: str, reason: str) -> SnapshotCorruptedError:
    return SnapshotCorruptedError(
        f"The checksum file of the snapshot is damaged: {reason}.",
        hint="Restore from another checkpoint or savepoint.",
        path=path,
    )
