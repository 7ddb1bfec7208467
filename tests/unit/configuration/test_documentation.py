"""The generated page about all options."""

from __future__ import annotations

from pathlib import Path

from millpond.configuration.documentation import configuration_page
from millpond.configuration.registry import option_registry

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_what_the_registry_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), (
        "run: python tools/generate_configuration_docs.py"
    )


def test_the_page_names_every_spelling() -> None:
    page = configuration_page()
    for registered in option_registry():
        assert all(f"`{key}`" in page for key in registered.option.spellings)
