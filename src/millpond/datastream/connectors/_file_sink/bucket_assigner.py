"""`BucketAssigner`: which directory below the base path a record goes to."""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("BasePathBucketAssigner", "BucketAssigner", "DateTimeBucketAssigner")


class BucketAssigner(ABC):
    """Decides on the directory of a record."""

    @abstractmethod
    def get_bucket_id(self, value: Any, timestamp: int | None, now_ms: int) -> str:
        """Return a path relative to the base path; the empty text is the base path itself.

        `timestamp` is the record's event time and `now_ms` the processing time, in ms.
        """

    def group(
        self, values: list[Any], timestamps: list[int] | None, now_ms: int
    ) -> Iterable[tuple[str, list[Any]]]:
        """Split a batch into buckets; the order inside each bucket is kept."""
        buckets: dict[str, list[Any]] = {}
        for index, value in enumerate(values):
            timestamp = None if timestamps is None else timestamps[index]
            buckets.setdefault(self.get_bucket_id(value, timestamp, now_ms), []).append(value)
        return buckets.items()

    @staticmethod
    def base_path_bucket_assigner() -> BucketAssigner:
        """Return the assigner that puts everything directly below the base path."""
        return BasePathBucketAssigner()

    @staticmethod
    def date_time_bucket_assigner(
        format_str: str = "yyyy-MM-dd--HH", timezone_id: str | None = None
    ) -> BucketAssigner:
        """Return the assigner that makes a directory an hour (or as the pattern says)."""
        return DateTimeBucketAssigner(format_str, timezone_id)


@final
class BasePathBucketAssigner(BucketAssigner):
    """Puts everything directly below the base path. Flink: BasePathBucketAssigner."""

    def get_bucket_id(self, value: Any, timestamp: int | None, now_ms: int) -> str:
        """Return the empty text."""
        return ""

    def group(
        self,
        values: list[Any],
        timestamps: list[int] | None,
        now_ms: int,
    ) -> Iterable[tuple[str, list[Any]]]:
        """Return the whole batch."""
        return (("", values),)


# Letters of Java's DateTimeFormatter that name a directory; each run of a letter is one field.
_FIELDS = {
    "yyyy": "%Y",
    "uuuu": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "DDD": "%j",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}
_TOKEN = re.compile(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']")


@final
class DateTimeBucketAssigner(BucketAssigner):
    """Puts records below a directory named by the processing time. Flink: DateTimeBucketAssigner.

    Args:
        format_str: pattern of Java's DateTimeFormatter of the fields yyyy, yy, MM, dd, DDD, HH,
            mm and ss, other characters, and text in single quotes.
        timezone_id: name of a time zone such as `Europe/Berlin`; None: the machine's.

    Raises:
        ConfigurationError: the pattern has another field, or nobody knows the time zone.
    """

    def __init__(self, format_str: str = "yyyy-MM-dd--HH", timezone_id: str | None = None) -> None:
        self._format = _strftime_pattern(format_str)
        self._zone = _time_zone(timezone_id)

    def get_bucket_id(self, value: Any, timestamp: int | None, now_ms: int) -> str:
        """Return the time as text."""
        moment = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        return moment.astimezone(self._zone).strftime(self._format)

    def group(
        self,
        values: list[Any],
        timestamps: list[int] | None,
        now_ms: int,
    ) -> Iterable[tuple[str, list[Any]]]:
        """Return the whole batch: it is written at one moment."""
        return ((self.get_bucket_id(None, None, now_ms), values),)


def _strftime_pattern(format_str: str) -> str:
    parts = []
    for match in _TOKEN.finditer(format_str):
        token = match.group()
        if token[0] == "'":
            parts.append((match.group(1) or "'").replace("%", "%%"))
        elif not token[0].isalpha():
            parts.append(token.replace("%", "%%"))
        elif token in _FIELDS:
            parts.append(_FIELDS[token])
        else:
            raise ConfigurationError(
                f"The date pattern holds the field {token!r}, which cannot name a bucket.",
                hint=f"Use {', '.join(_FIELDS)} and text in single quotes.",
                pattern=format_str,
            )
    return "".join(parts)


@lru_cache(maxsize=8)
def _time_zone(timezone_id: str | None) -> dt.tzinfo | None:
    if timezone_id is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(timezone_id)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"Nobody knows the time zone {timezone_id!r}.", hint="Use a name such as Europe/Berlin."
        ) from error
