"""Times given by users, in milliseconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from millpond.errors import InvalidProgramError

__all__ = ("milliseconds",)


def milliseconds(time: Any, what: str) -> int:
    """Return a Time, a Duration, a timedelta or a whole number of ms as a number of ms.

    Raises:
        InvalidProgramError: it is none of them; `what` names the parameter.
    """
    if isinstance(time, int) and not isinstance(time, bool):
        return time
    if isinstance(time, timedelta):
        return time // timedelta(milliseconds=1)
    for name in ("to_milliseconds", "to_millis"):
        method = getattr(time, name, None)
        if callable(method):
            return int(method())
    raise InvalidProgramError(
        f"The {what} must be a time, not {time!r}.",
        hint="Write Time.seconds(10), Duration.of_seconds(10) or a timedelta.",
    )
