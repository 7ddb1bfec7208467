"""PyFlink's public names are here, or docs/pyflink.md says that and why they are not."""

import functools
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_PAGE = _HERE.parents[1] / "docs" / "pyflink.md"
_CLASSES = json.loads((_HERE / "api_baseline.json").read_text(encoding="utf-8"))
_EXPORTS = json.loads((_HERE / "exports_baseline.json").read_text(encoding="utf-8"))


def _documented(heading):
    """Return the names in the first column of the table below a heading of the page."""
    section = _PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def _find(entry):
    found = importlib.import_module(entry["module"])
    for name in entry["class"].split("."):
        found = getattr(found, name)
    return found


@functools.cache
def _missing():
    missing = set()
    for entry in _CLASSES:
        try:
            found = _find(entry)
        except (ImportError, AttributeError):
            missing.add(entry["class"])
            continue
        missing.update(
            f"{entry['class']}.{name}" for name in entry["members"] if not hasattr(found, name)
        )
    return missing


def _parameters(found, name):
    function = found if name == "__init__" else getattr(found, name)
    return {each.name: each for each in inspect.signature(function).parameters.values()}


def _differing_parameters():
    differing = set()
    for entry in _CLASSES:
        if entry["class"] in _missing():
            continue
        found = _find(entry)
        for name, overloads in entry["members"].items():
            if overloads is None or not hasattr(found, name):
                continue
            have = _parameters(found, name)
            wanted = {parameter for overload in overloads for parameter in overload}
            if any(not _accepts(have, parameter) for parameter in wanted):
                differing.add(f"{entry['class']}.{name}")
    return differing


def _accepts(have, wanted):
    parameter = have.get(wanted.strip("*="))
    if parameter is None:
        return False
    variable = parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    return variable or not wanted.endswith("=") or parameter.default is not parameter.empty


def test_the_baseline_was_read():
    assert len(_CLASSES) > 200
    members = sum(len(entry["members"]) for entry in _CLASSES)
    assert members > 1000


def test_names_of_pyflink_that_are_missing_are_documented():
    assert _missing() == _documented("Names that are not there")


def test_parameters_that_differ_from_pyflink_are_documented():
    assert _differing_parameters() == _documented("Parameters that differ")


@pytest.mark.parametrize("module", sorted(_EXPORTS))
def test_no_export_disappears(module):
    imported = importlib.import_module(module)
    exported = set(imported.__all__)
    assert set(_EXPORTS[module]) <= exported
    assert all(hasattr(imported, name) for name in exported)
