"""Where PyFlink is installed, its own modules say which names must be here.

`make test` does not install it; run this file where it is, with the packages of the tests.
"""

import importlib
import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("pyflink", reason="PyFlink is not installed")

_PAGE = (Path(__file__).parents[2] / "docs" / "pyflink.md").read_text(encoding="utf-8")
_MODULES = (
    "common",
    "common.time",
    "common.typeinfo",
    "common.types",
    "common.watermark_strategy",
    "datastream",
    "datastream.data_stream",
    "datastream.functions",
    "datastream.output_tag",
    "datastream.slot_sharing_group",
    "datastream.state",
    "datastream.state_backend",
    "datastream.stream_execution_environment",
    "datastream.window",
)


def _section(heading):
    section = _PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def _classes():
    """Yield (module, class) of what PyFlink exports."""
    for name in _MODULES:
        module = importlib.import_module(f"pyflink.{name}")
        for exported in getattr(module, "__all__", ()):
            found = getattr(module, exported)
            if inspect.isclass(found) and found.__module__.startswith("pyflink"):
                yield name, exported, found


def _public(kind):
    return {
        name: member
        for name, member in vars(kind).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, staticmethod))
    }


def _parameters(member):
    function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def test_every_exported_class_and_method_is_here_or_documented():
    documented = _section("Names that are not there")
    missing = set()
    for module, name, theirs in _classes():
        ours = getattr(importlib.import_module(f"millpond.{module}"), name, None)
        if ours is None:
            missing.add(name)
            continue
        for member, value in _public(theirs).items():
            if isinstance(value, type):
                continue
            if not hasattr(ours, member):
                missing.add(f"{name}.{member}")
    assert missing <= documented, sorted(missing - documented)


def test_parameters_have_the_same_names_and_none_more_is_needed():
    documented = _section("Parameters that differ")
    differing = set()
    for module, name, theirs in _classes():
        ours = getattr(importlib.import_module(f"millpond.{module}"), name, None)
        for member, value in _public(theirs).items():
            if ours is None or isinstance(value, type) or not hasattr(ours, member):
                continue
            mine = {each.name: each for each in _parameters(inspect.getattr_static(ours, member))}
            wanted = {each.name: each for each in _parameters(value)}
            needed = {
                each.name
                for each in mine.values()
                if each.default is each.empty
                and each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
            }
            open_ended = any(each.kind is each.VAR_POSITIONAL for each in wanted.values())
            if set(wanted) - set(mine) or (needed - set(wanted) and not open_ended):
                differing.add(f"{name}.{member}")
    assert differing <= documented, sorted(differing - documented)
