"""Every option that works has a test of its effect, here or beside what it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.configuration.registered_option import OptionStatus
from millpond.configuration.registry import option_registry

TESTS = Path(__file__).parent.parent


def test_every_option_that_works_has_a_test_of_its_effect(request):
    items = request.session.items
    marked = {path for path in TESTS.rglob("test_*.py") if "mark.option(" in path.read_text()}
    if not marked <= {item.path for item in items}:
        pytest.skip("only a part of the tests that show effects is run")
    shown = {marker.args[0] for item in items for marker in item.iter_markers("option")}
    working = {
        registered.option.key
        for registered in option_registry()
        if registered.status is OptionStatus.WORKS
    }
    assert sorted(working - shown) == []
    known = {registered.option.key for registered in option_registry()}
    assert sorted(shown - known) == []
