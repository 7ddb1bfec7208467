"""`CacheWriting`: lets a job write the records of cached streams, and keeps them if it finishes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from millpond.configuration.options import execution
from millpond.datastream.stream_cache import CacheFiles
from millpond.engines.job_setup import temporary_root
from millpond.runtime.batch_mode import is_batch

if TYPE_CHECKING:
    from millpond.datastream.engine import Program
    from millpond.datastream.stream_cache import StreamCache

__all__ = ("CacheWriting",)


@final
class CacheWriting:
    """The caches that a job fills: those of its program in BATCH mode, else none.

    Attributes:
        program: the program with operators that write them.

    Raises:
        ConfigurationError: the temporary directory cannot be made.
        ConnectorError: there is no place for the files.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._files: list[tuple[StreamCache, CacheFiles]] = []
        mode = program.configuration.get(execution.RUNTIME_MODE)
        if not program.caches or not is_batch(program.job, mode):
            return
        root = temporary_root(program.configuration)
        self._files = [(cache, CacheFiles(root)) for cache in program.caches]
        writers = [cache.writer(files) for cache, files in self._files]
        transformations = [*program.job.transformations, *writers]
        self.program = replace(program, job=replace(program.job, transformations=transformations))

    def end(self, *, finished: bool) -> None:
        """Keep the records of a job that has finished; forget those of any other."""
        for cache, files in self._files:
            if finished:
                cache.keep(files)
            else:
                files.remove()
        self._files = []
