"""Engines: how `env.execute()` finds what runs the program."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final

from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from millpond.common.configuration import Configuration
    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.datastream.checkpoint_storage import CheckpointStorage
    from millpond.datastream.state_backend import StateBackend
    from millpond.datastream.stream_cache import StreamCache
    from millpond.datastream.transformation import JobDescription

__all__ = (
    "ENGINES",
    "Engine",
    "Launch",
    "LaunchWith",
    "Program",
    "current_launch",
    "load_engine",
)

ENGINES = {"embedded": "millpond.engines.embedded:EmbeddedEngine"}
"""Where the engines are, by name."""


@dataclass(eq=False)
class Program:
    """Everything an engine needs to run a job.

    `configuration` is effective: code, command line, job, environment and file are merged.
    The objects are those that the program set in code, else None. `caches` are to keep records
    that the job makes.
    """

    job: JobDescription
    configuration: Configuration
    state_backend: StateBackend | None = None
    checkpoint_storage: CheckpointStorage | None = None
    caches: Sequence[StreamCache] = ()


class Engine(Protocol):
    """Runs programs."""

    def execute(self, program: Program) -> JobExecutionResult:
        """Run to the end. Raises the job's failure."""
        ...

    def execute_async(self, program: Program) -> JobClient:
        """Start the job and return its handle at once."""
        ...

    def collect(self, program: Program, collect_id: str) -> Iterator[Any]:
        """Run while results are asked for; return those of the collecting operator."""
        ...


@final
@dataclass(frozen=True)
class Launch:
    """How this process runs programs; `millpond run` sets it before it runs the user's file.

    `definitions` are the ``key=value`` of ``-D``; `config_directory` None leaves the place of the
    configuration file to the environment.
    """

    engine: str | Engine = "embedded"
    definitions: tuple[str, ...] = ()
    config_directory: str | None = None


_launches: list[Launch] = []


def current_launch() -> Launch:
    """Return the innermost launch that was set, else the default."""
    return _launches[-1] if _launches else Launch()


@final
class LaunchWith:
    """Context manager: programs described inside the block run in this way."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    def __enter__(self) -> Launch:
        _launches.append(self._launch)
        return self._launch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _launches.pop()


def load_engine(engine: str | Engine) -> Engine:
    """Return the engine of that name, or the one given.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if not isinstance(engine, str):
        return engine
    path = ENGINES.get(engine)
    if path is None:
        raise ConfigurationError(
            f"There is no engine {engine!r}.", hint=f"Use one of: {', '.join(ENGINES)}."
        )
    module, name = path.split(":")
    loaded: Engine = getattr(importlib.import_module(module), name)()
    return loaded
