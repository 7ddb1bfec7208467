"""`StreamCache`: the records of a stream that a job has kept for later jobs of its environment."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, final

from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream.connectors.cache import CacheSink, CacheSource
from millpond.datastream.operator_spec import SinkSpec, SourceSpec
from millpond.datastream.transformation import Edge, Transformation
from millpond.errors import ConnectorError
from millpond.filesystem.owner import make_owned_directory, remove_owned

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.transformation import JobDescription

__all__ = ("CacheFiles", "StreamCache")


@final
class StreamCache:
    """What became of one output of the program: nothing yet, or the files with its records.

    `number` is that of the operator that writes or reads them.
    """

    def __init__(self, number: int, edge: Edge, output_type: TypeInformation | None) -> None:
        self._number = number
        self._edge = edge
        self._output_type = output_type
        self._files: CacheFiles | None = None

    @property
    def has_records(self) -> bool:
        """Whether a job has kept them and they are still there."""
        return self._files is not None and self._files.are_there

    def is_due(self, job: JobDescription) -> bool:
        """Tell whether a job makes the records and nothing has them yet."""
        return not self.has_records and self._edge.source in job.transformations

    def reader(self) -> Transformation:
        """Return the source that stands for what made the records, as parallel as that was."""
        assert self._files is not None
        parts = self._files.parts
        made = self._edge.source
        return Transformation(
            self._number,
            "CacheRead",
            SourceSpec(CacheSource(parts, self._output_type), WatermarkStrategy.no_watermarks()),
            output_type=self._output_type,
            parallelism=len(parts),
            max_parallelism=made.max_parallelism,
            uid=self._uid,
            slot_sharing_group=made.slot_sharing_group,
        )

    def writer(self, files: CacheFiles) -> Transformation:
        """Return the sink that writes the records while a job makes them."""
        made = self._edge.source
        return Transformation(
            self._number,
            "CacheWrite",
            SinkSpec(CacheSink(str(files.staging), self._output_type, made.name)),
            (Edge(made, side_tag=self._edge.side_tag),),
            parallelism=made.parallelism,
            max_parallelism=made.max_parallelism,
            uid=self._uid,
            slot_sharing_group=made.slot_sharing_group,
        )

    @property
    def _uid(self) -> str:
        return f"millpond-cache-{self._number}"

    def keep(self, files: CacheFiles) -> None:
        """Take over what a finished job wrote."""
        files.publish()
        self.invalidate()
        self._files = files

    def invalidate(self) -> None:
        """Remove the records; the next job that makes them keeps them again."""
        files, self._files = self._files, None
        if files is not None:
            files.remove()


@final
class CacheFiles:
    """A directory that one job writes to; it goes with this object, or with the process.

    What a killed process left is removed when another one caches a stream with the same root.

    Args:
        root: where to make it; None: where the system has its temporary files.

    Raises:
        ConnectorError: it cannot be made.
    """

    def __init__(self, root: Path | None) -> None:
        try:
            # Only its owner may enter it, so records of undeclared types may be pickles.
            self._directory = make_owned_directory("millpond-cache-", root)
            self.staging.mkdir()
        except OSError as error:
            import tempfile

            raise ConnectorError(
                f"There is no place for the records of a cached stream: {error.strerror}.",
                path=root or tempfile.gettempdir(),
            ) from error
        self.remove = weakref.finalize(self, remove_owned, self._directory)
        self.parts: list[str] = []

    @property
    def staging(self) -> Path:
        """Where the job writes."""
        return self._directory / "writing"

    @property
    def are_there(self) -> bool:
        """Whether no part was removed, by a clean-up of temporary files for example."""
        return all(Path(part).exists() for part in self.parts)

    def publish(self) -> None:
        """Give the written records their name."""
        published = self._directory / "records"
        self.staging.replace(published)
        self.parts = sorted(str(path) for path in published.iterdir() if path.name[0] != ".")
