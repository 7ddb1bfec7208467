"""The package exports PyFlink's names, lazily."""

from __future__ import annotations

import subprocess
import sys

import pytest

import millpond.common
from millpond.common.constants import DEFAULT_OUTPUT_TAG, MAX_LONG_VALUE, MIN_LONG_VALUE


@pytest.mark.parametrize("name", millpond.common.__all__)
def test_every_name_can_be_imported(name):
    assert getattr(millpond.common, name).__name__ == name
    assert name in dir(millpond.common)


def test_unknown_name():
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = millpond.common.NoSuchName


def test_import_loads_nothing_else():
    program = "import sys, millpond.common; print([m for m in sys.modules if 'millpond.' in m])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "['millpond.common']"


def test_constants():
    assert (MIN_LONG_VALUE, MAX_LONG_VALUE, DEFAULT_OUTPUT_TAG) == (-(2**63), 2**63 - 1, "")
