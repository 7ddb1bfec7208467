"""Reads `flink-conf.yaml`: Flink's own line format, which is no YAML."""

from __future__ import annotations

import re

from millpond.configuration.entry import (
    Entry,
    FoundEntries,
    Notice,
    Origin,
    OriginKind,
    Severity,
)

__all__ = ("parse_lines", "split_line", "trimmed")

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
# Java's trim, which Flink uses: everything up to the blank.
_BLANKS = "".join(map(chr, range(33)))


def trimmed(text: str) -> str:
    """Return text without the blanks and control characters around it, as Java trims."""
    return text.strip(_BLANKS)


def split_line(line: str) -> tuple[str, str] | None:
    """Split a line at its first colon followed by a blank, after dropping the comment.

    Returns:
        Key and value, or None where the line has no separator, key or value. Both are empty for
        an empty line.
    """
    content = trimmed(line.partition("#")[0])
    if not content:
        return "", ""
    key, separator, value = content.partition(": ")
    key, value = trimmed(key), trimmed(value)
    return (key, value) if separator and key and value else None


def parse_lines(text: str, path: str) -> FoundEntries:
    """Read the text of a file; rule of Flink's GlobalConfiguration.

    As in Flink a line that is no entry is passed over, and of a key that stands twice the last
    one counts; both are said in the notices.
    """
    entries: dict[str, Entry] = {}
    notices: list[Notice] = []
    for number, line in enumerate(_LINE_ENDS.split(text), start=1):
        origin = Origin(OriginKind.FILE, path, number)
        pair = split_line(line)
        if pair is None:
            notices.append(
                Notice(
                    Severity.PROBLEM,
                    f"'{trimmed(line)}' is no entry and is ignored; an entry is a key, a "
                    "colon, a blank and a value (nested YAML belongs into config.yaml).",
                    origin,
                )
            )
        elif pair[0]:
            key, value = pair
            if key in entries:
                notices.append(
                    Notice(
                        Severity.PROBLEM,
                        f"'{key}' stands in line {entries[key].origin.line} already; this one "
                        "counts.",
                        origin,
                    )
                )
            entries[key] = Entry(key, value, origin)
    return FoundEntries(tuple(entries.values()), tuple(notices))
