"""Fails when a module is longer than 500 lines: then it holds more than one concept."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 500


def main() -> int:
    """Return 1 and name the modules that are too long, else 0."""
    too_long = [
        (path, count)
        for path in sorted(Path("src").rglob("*.py"))
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LIMIT
    ]
    for path, count in too_long:
        print(f"{path}: {count} lines; the limit is {LIMIT}. Split it by concept.")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
