"""Prints the requirements of dependency groups of pyproject.toml, one a line.

pip learned `--group` only in 25.1; a fresh machine may have an older one.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(names: list[str]) -> None:
    """Print the requirements of the named groups."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    for name in names:
        for requirement in groups[name]:
            print(requirement)


if __name__ == "__main__":
    main(sys.argv[1:])
