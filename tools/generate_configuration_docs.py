"""Writes docs/configuration.md from the registry of options.

Run ``python tools/generate_configuration_docs.py`` after a change of an option; a test compares
the file with what this prints.
"""

from __future__ import annotations

from pathlib import Path

from millpond.configuration.documentation import configuration_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(configuration_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
