"""Every option that works has a test of its effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.configuration.registered_option import OptionStatus
from millpond.configuration.registry import option_registry


def test_every_option_that_works_has_a_test_of_its_effect(request):
    here = Path(__file__).parent
    items = [item for item in request.session.items if item.path.parent == here]
    if {item.path for item in items} != set(here.glob("test_*.py")):
        pytest.skip("only a part of tests/effects is run")
    shown = {marker.args[0] for item in items for marker in item.iter_markers("option")}
    working = {
        registered.option.key
        for registered in option_registry()
        if registered.status is OptionStatus.WORKS
    }
    assert working - shown == set()
    known = {registered.option.key for registered in option_registry()}
    assert shown - known == set()
