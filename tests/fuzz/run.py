"""Fuzzes the readers with atheris: every target for the given time, within an address space limit.

usage: python tests/fuzz/run.py [--seconds 240] [--work build/fuzz] [TARGET ...]

Needs Linux and `pip install atheris` (dependency group `fuzz`). Each target runs in a process of
its own; new inputs go to the work directory, what fails to `<work>/failures/<target>-…`. The exit
code is 1 if anything failed. Inputs worth keeping belong in `tests/fuzz/corpus/<target>/`.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
_ADDRESS_SPACE_BYTES = 3 << 30
# The first argument of a process that fuzzes one target; libFuzzer's own follow its name.
_ONE = "--one"
_INSTRUMENTED = ["millpond.formats", "millpond.state_processor", "millpond.serialization"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=240, help="for each target")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "fuzz")
    arguments = parser.parse_args()
    from targets import TARGETS

    failed = []
    for name in arguments.targets or TARGETS:
        work = arguments.work.resolve()
        found = work / name
        kept = HERE / "corpus" / name
        for directory in (found, kept, work / "failures"):
            directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, _ONE, name, str(found), str(kept)]
        command += [
            f"-max_total_time={arguments.seconds}",
            "-timeout=30",
            "-rss_limit_mb=2048",
            "-max_len=16384",
            "-print_final_stats=1",
            f"-artifact_prefix={work / 'failures' / name}-",
        ]
        print(f"== {name}", flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    print(f"failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from targets import TARGETS
    # A reader that allocates by a length it was told fails here with MemoryError.
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [_ONE]:
        fuzz(sys.argv[2], sys.argv[3:])
    sys.exit(main())
