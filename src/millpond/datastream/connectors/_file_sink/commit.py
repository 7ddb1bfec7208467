"""Making finished part files visible, as often as one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.connectors._file_sink.part_file import PendingPart
    from millpond.datastream.connectors._file_sink.storage import PartStorage

__all__ = ("commit_parts",)


def commit_parts(storage: PartStorage, parts: Sequence[PendingPart]) -> None:
    """Rename parts to their final names, durably; parts that are visible already are left alone.

    The parts that were combined in one are deleted when its name is durable.

    Cost: one rename a part and one directory sync a directory.

    Raises:
        ConnectorError: a part is neither hidden nor visible, has another length, or the file
            system failed.
    """
    directories: dict[str, None] = {}
    try:
        for part in parts:
            _commit(storage, part)
            directories[part.directory] = None
        for directory in directories:
            storage.sync_directory(directory)
        for part in parts:
            for source in part.sources:
                storage.delete(source)
    except ConnectorError:
        raise
    except OSError as error:
        raise ConnectorError(
            f"Part files could not be made visible: {error.strerror or error}.",
            path=error.filename,
        ) from error


def _commit(storage: PartStorage, part: PendingPart) -> None:
    hidden = storage.size(part.path)
    length = storage.size(part.target) if hidden is None else hidden
    if length is None:
        raise ConnectorError(
            "A part file that a complete checkpoint covers is gone.",
            hint="It was removed or renamed by somebody else; its records are lost to this sink.",
            path=part.target,
        )
    if length != part.length:
        raise ConnectorError(
            f"A part file has {length} bytes where the checkpoint says {part.length}.",
            hint="It was changed by somebody else.",
            path=part.target if hidden is None else part.path,
        )
    if hidden is not None:
        storage.rename(part.path, part.target)
