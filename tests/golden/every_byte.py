"""Flips every byte of snapshots of Flink, cuts them at every length, and counts what comes of it.

usage: python -m tests.golden.every_byte [--directory tests/golden/flink] [FOLDER ...]

A byte is flipped by 0x01, 0x80 or 0xff, in turn by position. Prints a line of counts for each
snapshot; the exit code is 1 if anything was neither an error with its place, nor equal, nor a
difference that docs/formats/damage.md lists.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.golden.damage_kinds import DOCUMENTED, EQUAL, ERROR
from tests.golden.damaged_snapshot import DamagedSnapshot

FLIPS = (0x01, 0x80, 0xFF)


def damage_all(snapshot: DamagedSnapshot) -> tuple[Counter[str], Counter[str]]:
    """What becomes of a flip of each byte, and of a cut at each length, counted."""
    flips: Counter[str] = Counter()
    cuts: Counter[str] = Counter()
    for path in (snapshot.metadata_path, *snapshot.users):
        for at in range(len(snapshot.data[path])):
            try:
                verdict = snapshot.flip(path, at, FLIPS[at % 3])
            except Exception as error:  # noqa: BLE001 - a reader that raises anything else is found
                verdict = f"FOUND {type(error).__name__}: {error} in {path.name} at {at}"
            flips[verdict] += 1
            cuts[snapshot.cut(path, at)] += 1
    for path in snapshot.unread:
        # Nobody opens it: OPTIONS and CURRENT of a database.
        size = len(snapshot.load(path) or b"")
        flips[EQUAL] += size
        cuts[EQUAL] += size
    return flips, cuts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path(__file__).parent / "flink")
    parser.add_argument("folders", nargs="*")
    arguments = parser.parse_args()
    found = False
    for path in sorted(arguments.directory.rglob("_metadata")):
        name = path.relative_to(arguments.directory)
        if arguments.folders and name.parts[0] not in arguments.folders:
            continue
        start = time.process_time()
        flips, cuts = damage_all(DamagedSnapshot(path, arguments.directory))
        other = {kind: n for kind, n in flips.items() if kind not in DOCUMENTED}
        other |= {f"cut: {kind}": n for kind, n in cuts.items() if kind not in {ERROR, EQUAL}}
        listed = sum(n for kind, n in flips.items() if kind in DOCUMENTED - {ERROR, EQUAL})
        print(
            f"{name.parent}: {flips.total()} flips: {flips[ERROR]} errors, {flips[EQUAL]} equal, "
            f"{listed} documented, {len(other)} else; {cuts.total()} cuts: {cuts[ERROR]} errors, "
            f"{cuts[EQUAL]} equal; {time.process_time() - start:.0f} s",
            flush=True,
        )
        for kind, number in other.items():
            print(f"  {number} x {kind}", flush=True)
        found = found or bool(other)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
