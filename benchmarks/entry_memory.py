"""How many bytes of memory an entry of heap state takes, by the growth of a new process.

Every key and every value is an object of its own, as those of records are. What a snapshot adds
while it is written is not in it: the values that are changed meanwhile.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from benchmarks.stores import open_backend
from millpond.common import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.namespace import VOID

__all__ = ("run_entry_memory",)

_BATCH = 2048
_FIRST = 1_000_000
"""Smaller numbers might be objects that the interpreter shares."""

_LONG, _STRING = Types.LONG(), Types.STRING()
_PAIR = Types.TUPLE([_LONG, _LONG])


def _update(value_of: Callable[[int], Any]) -> Callable[[Any, int], None]:
    return lambda state, key: state.update(value_of(key))


def _put_ten(state: Any, key: int) -> None:
    for number in range(10):
        state.put(_FIRST + number + key, _FIRST - number - key)


def _add_hundred(state: Any, key: int) -> None:
    state.add_all([_FIRST + key + number for number in range(100)])


_Fill = Callable[[Any, int], None]
_CASES: dict[str, tuple[Any, int, _Fill]] = {
    "value, long": (ValueStateDescriptor("s", _LONG), 1, _update(lambda key: -key)),
    "value, text of 12": (ValueStateDescriptor("s", _STRING), 1, _update(lambda key: f"{key:012}")),
    "value, two longs": (ValueStateDescriptor("s", _PAIR), 1, _update(lambda key: (-key, key + 1))),
    "map of ten longs, each": (MapStateDescriptor("s", _LONG, _LONG), 10, _put_ten),
    "list of 100 longs, each": (ListStateDescriptor("s", _LONG), 100, _add_hundred),
}
"""What is filled, how many entries a key has, and how they are made."""


def run_entry_memory(*, quick: bool) -> Iterator[Measurement]:
    """Fill a million entries of each kind, in a process of its own."""
    entries = 100_000 if quick else 1_000_000
    for name in _CASES:
        command = [sys.executable, "-m", "benchmarks.entry_memory", name, str(entries)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        yield Measurement(
            "h", f"memory an entry: {name}", "heap", "bytes", [json.loads(done.stdout)],
            note=f"growth of the resident memory by {entries:,} entries",
        )  # fmt: skip


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(name: str, entries: int) -> float:
    """Fill one kind of state; return bytes an entry."""
    descriptor, per_key, fill = _CASES[name]
    with open_backend("heap") as store:
        state: Any = store.get_state(StateDefinition.of(descriptor, VOID))
        for key in range(_FIRST, _FIRST + _BATCH):
            store.current_key = key
            fill(state, key)
        before = _resident_bytes()
        for key in range(_FIRST + _BATCH, _FIRST + _BATCH + entries // per_key):
            store.current_key = key
            fill(state, key)
        return (_resident_bytes() - before) / entries


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
