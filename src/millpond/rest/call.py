"""`Call`: what a handler is given of a request, and `HttpError`, what it answers instead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import MillpondError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Call", "HttpError", "hexadecimal")

_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


@final
class HttpError(MillpondError):
    """An answer that is no success; the message is for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@final
@dataclass(frozen=True, slots=True)
class Call:
    """Parameters of the path and of the query, and the body: an object of JSON, or empty."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        """The job's id. Raises HttpError."""
        return hexadecimal(self.path["job_id"], "job id")

    def text(self, name: str) -> str | None:
        """Return a text of the body, None if it is not there. Raises HttpError."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise HttpError(400, f"Bad request: {name!r} must be a text.")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false of the body, false if it is not there. Raises HttpError."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise HttpError(400, f"Bad request: {name!r} must be true or false.")
        return bool(value)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of some texts, the first if it is not there. Raises HttpError."""
        value = self.text(name)
        if value is None:
            return choices[0]
        if value.upper() not in choices:
            raise HttpError(400, f"Bad request: {name!r} must be one of {', '.join(choices)}.")
        return value.upper()


def hexadecimal(text: str, what: str) -> str:
    """Return an id of 32 hexadecimal digits in small letters. Raises HttpError."""
    if _ID.fullmatch(text) is None:
        raise HttpError(400, f"Bad request: {text[:64]!r} is no {what}: 32 hexadecimal digits.")
    return text.lower()
