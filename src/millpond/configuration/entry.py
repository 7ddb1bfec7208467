"""Configuration entries as they were found, with the place where each stands."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ("Entry", "FoundEntries", "Notice", "Origin", "OriginKind", "Severity")


class OriginKind(enum.IntEnum):
    """Where a value comes from; a greater one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    JOB = 3
    COMMAND_LINE = 4
    CODE = 5


_WORDS = {
    OriginKind.DEFAULT: "default",
    OriginKind.FILE: "file",
    OriginKind.ENVIRONMENT: "environment variable",
    OriginKind.JOB: "job configuration",
    OriginKind.COMMAND_LINE: "command line",
    OriginKind.CODE: "code",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands: the kind of place, and for files path and line."""

    kind: OriginKind
    place: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind is OriginKind.FILE:
            return self.place if self.line is None else f"{self.place}:{self.line}"
        return f"{_WORDS[self.kind]} {self.place}".rstrip()


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value as text."""

    key: str
    value: str
    origin: Origin


class Severity(enum.StrEnum):
    """How much a notice matters: `config check` fails from PROBLEM on."""

    INFORMATION = "information"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth saying about an entry that does not stop a job."""

    severity: Severity
    message: str
    origin: Origin

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


@dataclass(frozen=True, slots=True)
class FoundEntries:
    """What one source of configuration holds; no key occurs twice."""

    entries: tuple[Entry, ...] = ()
    notices: tuple[Notice, ...] = ()
