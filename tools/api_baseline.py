"""Turns a list of PyFlink's public names into the baseline of tests/unit/test_public_api.py.

The list is Markdown: a heading names a module, and below it stand lines such as
``- **DataStream**: map(func, output_type=); static of(x); const NAME``. ``new`` is the
constructor, ``=`` marks an optional parameter, and ``Outer.Inner: …`` without stars is a nested
class.

    python tools/api_baseline.py LIST.md > tests/unit/api_baseline.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# Start of a heading in the list to the module of Millpond that has its names; the empty string
# is a group whose names are nested in classes of several modules.
_DATASTREAM = "millpond.datastream"
_MODULES = {
    "environment": _DATASTREAM,
    "streams": f"{_DATASTREAM}.data_stream",
    "functions": f"{_DATASTREAM}.functions",
    "state": f"{_DATASTREAM}.state",
    "state backends, checkpoint config, storage": _DATASTREAM,
    "windows": f"{_DATASTREAM}.window",
    "timers, output tags, slot sharing, async": _DATASTREAM,
    "nested classes": "",
    "pyflink.common": "millpond.common",
    "Connectors": f"{_DATASTREAM}.connectors",
    "1.12.5 `pyflink.datastream.state_backend`": f"{_DATASTREAM}.state_backend",
    "1.12.5 environment and checkpoint config": _DATASTREAM,
    "1.12.5 streams, functions, state": _DATASTREAM,
    "pyflink.metrics": "millpond.metrics",
}
# Names that PyFlink has in a module further down than their group's.
_FURTHER_DOWN = {
    r"(\w+TypeInfo|BasicType)$": "millpond.common.typeinfo",
    r"(RowData)?BulkWriterFactory$": "millpond.common.serialization",
    r"AsyncDataStream$": f"{_DATASTREAM}.async_data_stream",
    r"\w*RetryStrategy$|RetryPredicate$": f"{_DATASTREAM}.async_retry_strategies",
    r"NumberSequenceSource$": f"{_DATASTREAM}.connectors.number_seq",
    r"DeliveryGuarantee$|StreamTransformer$|SupportsPreprocessing$": (
        f"{_DATASTREAM}.connectors.base"
    ),
    r"(Stream|Bulk)Format$|\w*RollingPolicy$|BucketAssigner$|OutputFile|StreamingFile"
    r"|File(Enumerator|Split|Source|Sink|Compact)\w*$": f"{_DATASTREAM}.connectors.file_system",
}
_HEADING = re.compile(r"^(?:###\s+|\*\*)(.+?)(?:\*\*.*)?$")
_CLASS = re.compile(r"^- \*\*([\w.]+)\*\*(?: < [^:]*)?: (.*)$")
_NESTED = re.compile(r"^- (\w+(?:\.\w+)+): ?(.*)$")
_MEMBER = re.compile(r"^(?:(?:static|classmethod|const) )?(\w+)(?:\((.*)\))?$")


def baseline(text: str) -> list[dict[str, Any]]:
    """Return one entry for each class of the list, in its order."""
    entries: list[dict[str, Any]] = []
    module: str | None = None
    modules: dict[str, str] = {}
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if line.startswith("##") or (heading and line.startswith("**")):
            module = _module(heading.group(1)) if heading else None
        found = _CLASS.match(line) or _NESTED.match(line)
        if found is None or module is None:
            continue
        name, members = found.groups()
        outermost = name.split(".")[0]
        modules.setdefault(outermost, _further_down(outermost) or module)
        entries.append(
            {
                "module": modules[outermost] or f"{_DATASTREAM}.window",
                "class": name,
                "members": _members(members),
            }
        )
    return entries


def _module(heading: str) -> str | None:
    fitting = [start for start in _MODULES if heading.startswith(start)]
    return _MODULES[max(fitting, key=len)] if fitting else None


def _further_down(name: str) -> str | None:
    fitting = (module for pattern, module in _FURTHER_DOWN.items() if re.match(pattern, name))
    return next(fitting, None)


def _members(text: str) -> dict[str, list[list[str]] | None]:
    """Return names to the parameter lists of their overloads, or to None for constants."""
    members: dict[str, list[list[str]] | None] = {}
    for part in text.split("; "):
        found = _MEMBER.match(part.strip())
        if found is None:
            continue  # A dash stands for no members.
        name, parameters = found.groups()
        name = "__init__" if name == "new" else name
        if parameters is None:
            members[name] = None
        else:
            overloads = members.setdefault(name, [])
            assert overloads is not None, f"{name} is a constant and a method"
            overloads.append(parameters.split(", ") if parameters else [])
    return members


if __name__ == "__main__":
    _entries = baseline(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _lines = ",\n".join(json.dumps(entry) for entry in _entries)
    sys.stdout.write(f"[\n{_lines}\n]\n")
