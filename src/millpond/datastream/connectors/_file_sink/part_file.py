"""`PartFile`: one part from its first record until it waits to be made visible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors._file_sink.rolling_policy import PartProgress
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.datastream.connectors._file_sink.encoding import Encoding
    from millpond.datastream.connectors._file_sink.storage import PartStorage

__all__ = ("PartFile", "PendingPart")


@final
@dataclass(frozen=True, slots=True)
class PendingPart:
    """A finished part under its hidden name; what a committable says.

    `sources` are the paths of the parts that were combined in it; they go when it is visible.
    """

    path: str
    target: str
    length: int
    sources: tuple[str, ...] = ()

    @property
    def directory(self) -> str:
        """Where it is."""
        return self.target.rpartition("/")[0]

    def encode(self) -> dict[str, Any]:
        """Return it as a committable."""
        fields = {"path": self.path, "target": self.target, "length": self.length}
        return {**fields, "sources": list(self.sources)} if self.sources else fields

    @classmethod
    def decode(cls, fields: Mapping[str, Any]) -> PendingPart:
        """Return what a committable says."""
        sources = tuple(fields.get("sources", ()))
        return cls(fields["path"], fields["target"], fields["length"], sources)


@final
class PartFile:
    """A part file being written under its hidden name."""

    __slots__ = (
        "_created_ms",
        "_encoder",
        "_length_before",
        "_part",
        "_target",
        "_written_ms",
        "bucket",
        "path",
    )

    def __init__(
        self,
        storage: PartStorage,
        encoding: Encoding,
        state: Mapping[str, Any],
        *,
        resume: bool,
    ) -> None:
        self.bucket: str = state["bucket"]
        self.path: str = state["path"]
        self._target: str = state["target"]
        self._length_before: int = state["length"]
        self._created_ms: int = state["created_ms"]
        self._written_ms: int = state["written_ms"]
        self._part = (
            storage.resume(self.path, self._length_before) if resume else storage.create(self.path)
        )
        self._encoder = encoding.open(self._part)

    @classmethod
    def start(
        cls,
        storage: PartStorage,
        encoding: Encoding,
        *,
        bucket: str,
        path: str,
        target: str,
        now_ms: int,
    ) -> PartFile:
        """Create a part; its directory exists. Raises OSError."""
        state = {
            "bucket": bucket,
            "path": path,
            "target": target,
            "length": 0,
            "created_ms": now_ms,
            "written_ms": now_ms,
        }
        return cls(storage, encoding, state, resume=False)

    @classmethod
    def resume(cls, storage: PartStorage, encoding: Encoding, state: Mapping[str, Any]) -> PartFile:
        """Go on with a part where a checkpoint left it.

        Raises:
            ConnectorError: the part is gone, or shorter than the checkpoint says.
        """
        try:
            return cls(storage, encoding, state, resume=True)
        except (FileNotFoundError, EOFError) as error:
            what = "is gone" if isinstance(error, FileNotFoundError) else "lost bytes"
            raise ConnectorError(
                f"A part file that the restored checkpoint goes on with {what}.",
                hint="Somebody removed or changed hidden files of the sink's directory, or a later "
                "checkpoint than the restored one made the part visible.",
                path=state["path"],
                length=state["length"],
            ) from error

    @property
    def _length(self) -> int:
        return self._length_before + self._encoder.written

    @property
    def progress(self) -> PartProgress:
        """What the rolling policy decides on."""
        return PartProgress(self._length, self._created_ms, self._written_ms)

    def write(self, values: list[Any], now_ms: int) -> None:
        """Append a batch."""
        self._encoder.write(values)
        self._written_ms = now_ms

    def snapshot(self) -> dict[str, Any]:
        """Return what `resume` needs; `sync` comes before."""
        return {
            "bucket": self.bucket,
            "path": self.path,
            "target": self._target,
            "length": self._length,
            "created_ms": self._created_ms,
            "written_ms": self._written_ms,
        }

    def sync(self) -> None:
        """Make everything written so far survive a crash. Raises OSError."""
        self._part.sync()

    def finish(self) -> PendingPart:
        """End the part durably. Raises OSError."""
        self._encoder.finish()
        self._part.finish()
        return PendingPart(self.path, self._target, self._length)

    def abandon(self) -> None:
        """Close the file and leave it as it is."""
        self._part.abandon()
