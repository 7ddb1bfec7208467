"""Takes savepoints back and forth between Apache Flink and Millpond, and compares state by state.

usage: python tools/flink_roundtrip.py [--flink 1.20.5 --flink 2.3.0] [--work DIRECTORY]

Needs Java 11 or newer; without it nothing is tried and the exit code is 0. Each version of PyFlink
is installed into a virtual environment of its own, `.venv-flink-<version>` (about 800 MB).

One program (`roundtrip/program.py`) runs on both sides; only the import is replaced. What is
checked for each version of Flink:

- Flink -> Millpond: savepoints of both state backends, parallelism 1 and 3, are restored on both
  stores of Millpond, also with another parallelism, and saved at once: nothing may have changed.
- Millpond -> Flink: what Millpond went on with, and what it began itself, is restored by both state
  backends of Flink and saved at once: nothing may have changed.
- After all three parts of the input the state, what user code reads, and the windows that fired
  are those of a run that never left Flink.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from roundtrip.comparison import OPERATORS, count_entries, differences

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VERSIONS = ("1.20.5", "2.3.0")
PARALLELISMS = (1, 3)
BACKENDS = ("hashmap", "rocksdb")
FLINK_CONFIGURATION = {
    "python.fn-execution.bundle.size": "1",
    "python.fn-execution.bundle.time": "100",
    "pipeline.auto-watermark-interval": "50",
    "taskmanager.numberOfTaskSlots": "4",
    "taskmanager.memory.network.max": "128m",
    "rest.bind-port": "0",
    "rest.port": "0",
    "state.backend.rocksdb.memory.managed": "false",
}
# Both sides: state in files of its own at the higher parallelism, Snappy with RocksDB.
IN_FILES = {"execution.checkpointing.data-inline-threshold": "0"}
COMPRESSED = {"execution.checkpointing.snapshot-compression": "true"}
RUN_TIMEOUT_SECONDS = 1800


@dataclass
class Report:
    """Lines of the table, and whether every one is exact."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, version: str, what: str, found: list[str]) -> None:
        """Print and keep one comparison."""
        verdict = "exact" if not found else f"{len(found)} differences"
        self.rows.append((version, what, verdict))
        print(f"{version:8} {what:60} {verdict}", flush=True)
        for line in found[:20]:
            print(f"         {line[:400]}", flush=True)

    @property
    def exact(self) -> bool:
        """Whether nothing differed."""
        return bool(self.rows) and all(verdict == "exact" for _, _, verdict in self.rows)


class Runs:
    """Starts the program on one side or the other; each run has a directory below `work`."""

    def __init__(self, work: Path, version: str, python: Path, *, reuse: bool) -> None:
        self.work = work / version
        self.version = version
        self.python = python
        if not reuse:
            shutil.rmtree(self.work, ignore_errors=True)
        for side in ("pyflink", "millpond"):
            source = self.work / side
            source.mkdir(parents=True, exist_ok=True)
            text = (HERE / "roundtrip" / "program.py").read_text("utf-8")
            (source / "program.py").write_text(text.replace("pyflink", side), "utf-8")
            shutil.copy(HERE / "roundtrip" / "runner.py", source)

    def flink(self, name: str, **run: object) -> dict[str, str]:
        """Run on Flink; return the savepoints."""
        return self._run("pyflink", name, self.python, FLINK_CONFIGURATION, run)

    def millpond(self, name: str, **run: object) -> dict[str, str]:
        """Run on Millpond; return the savepoints."""
        python = Path(sys.executable)
        return self._run("millpond", name, python, {"millpond.batch-size": "1"}, run)

    def written(self, name: str, file: str) -> list[str]:
        """Return the sorted lines that user code wrote in a run."""
        path = self.work / name / file
        return sorted(path.read_text("utf-8").splitlines()) if path.exists() else []

    def _run(
        self,
        side: str,
        name: str,
        python: Path,
        configuration: dict[str, str],
        run: dict[str, object],
    ) -> dict[str, str]:
        directory = self.work / name
        finished = directory / "result.json"
        if finished.exists():
            earlier: dict[str, str] = json.loads(finished.read_text("utf-8"))
            return earlier
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        backend = str(run.pop("backend"))
        files = {**IN_FILES, "execution.checkpointing.dir": (directory / "checkpoints").as_uri()}
        variant = {
            **(files if run["parallelism"] != 1 else {}),
            **(COMPRESSED if backend == "rocksdb" else {}),
        }
        settings = {
            "side": "flink" if side == "pyflink" else side,
            "directory": str(directory),
            "target": (directory / "savepoints").as_uri(),
            "savepoint": None,
            "quiet_checks": 15 if side == "pyflink" else 3,
            "configuration": {**configuration, **variant, "state.backend.type": backend},
            **run,
        }
        file = directory / "run.json"
        file.write_text(json.dumps(settings), "utf-8")
        path = [str(self.work / side)] + ([str(ROOT / "src")] if side == "millpond" else [])
        environment = dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(path),
            PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        )
        started = time.monotonic()
        with (directory / "log").open("w") as log:
            code = subprocess.run(
                [python, "runner.py", file],
                cwd=self.work / side,
                env=environment,
                stdout=log,
                stderr=log,
                check=False,
                timeout=RUN_TIMEOUT_SECONDS,
            ).returncode
        seconds = time.monotonic() - started
        if code != 0:
            tail = (directory / "log").read_text("utf-8")[-3000:]
            raise RuntimeError(f"{self.version} {name}: exit code {code}\n{tail}")
        print(f"{self.version:8} ran {name} in {seconds:.0f} s", file=sys.stderr, flush=True)
        result: dict[str, str] = json.loads((directory / "result.json").read_text("utf-8"))
        return result


def round_trip(runs: Runs, report: Report, parallelisms: Sequence[int]) -> None:
    """Do everything that the module says, for one version of Flink."""
    reference = runs.flink("reference", backend="hashmap", parallelism=1, first_wave=0, last_wave=2)
    entries = count_entries(reference["continued"])
    print(f"{runs.version:8} {len(OPERATORS)} operators, {entries} entries at the end", flush=True)
    assert entries > 200, "the comparison would be of nothing"
    for parallelism in parallelisms:
        for backend in BACKENDS:
            _from_flink(runs, report, reference["continued"], backend, parallelism)
    for store, parallelism, backend in (
        ("hashmap", 1, "rocksdb"),
        ("hashmap", 3, "hashmap"),
        ("rocksdb", 1, "hashmap"),
        ("rocksdb", 3, "rocksdb"),
    ):
        if parallelism not in parallelisms:
            continue
        began = f"millpond-{store}-p{parallelism}"
        ours = runs.millpond(
            began, backend=store, parallelism=parallelism, first_wave=0, last_wave=1
        )
        _to_flink(
            runs, report, reference["continued"], [began], ours["continued"], backend, parallelism
        )


def _from_flink(runs: Runs, report: Report, reference: str, backend: str, parallelism: int) -> None:
    began = f"flink-{backend}-p{parallelism}"
    theirs = runs.flink(began, backend=backend, parallelism=parallelism, first_wave=0, last_wave=0)[
        "continued"
    ]
    for store in BACKENDS:
        rescaled = 2 if parallelism == 1 else 1
        for other in (rescaled, parallelism):
            name = f"{began}-millpond-{store}-p{other}"
            ours = runs.millpond(
                name,
                backend=store,
                parallelism=other,
                first_wave=1,
                last_wave=1,
                savepoint=theirs,
            )
            what = f"flink {backend} p{parallelism} -> millpond {_store(store)} p{other}"
            report.add(runs.version, what, differences(theirs, ours["restored"]))
        _to_flink(runs, report, reference, [began, name], ours["continued"], backend, parallelism)


def _to_flink(
    runs: Runs,
    report: Report,
    reference: str,
    history: list[str],
    ours: str,
    backend: str,
    parallelism: int,
) -> None:
    name = f"{history[-1]}-flink-{backend}"
    theirs = runs.flink(
        name,
        backend=backend,
        parallelism=parallelism,
        first_wave=2,
        last_wave=2,
        savepoint=ours,
    )
    what = f"{history[-1].removeprefix('flink-')} -> flink {backend} p{parallelism}"
    report.add(runs.version, f"{what}: as saved", differences(ours, theirs["restored"]))
    report.add(
        runs.version,
        f"{what}: state at the end",
        differences(reference, theirs["continued"], times=False),
    )
    windows = sorted(line for run in (*history, name) for line in runs.written(run, "windows"))
    report.add(
        runs.version, f"{what}: windows", _lines(runs.written("reference", "windows"), windows)
    )
    probes = _lines(runs.written("reference", "probes"), runs.written(name, "probes"))
    report.add(runs.version, f"{what}: what user code reads", probes)


def _lines(expected: list[str], found: list[str]) -> list[str]:
    missing = Counter(expected) - Counter(found)
    unexpected = Counter(found) - Counter(expected)
    return [f"missing: {line}" for line in missing] + [
        f"not expected: {line}" for line in unexpected
    ]


def _store(backend: str) -> str:
    return "heap" if backend == "hashmap" else backend


def java_problem() -> str | None:
    """Return why Flink cannot run here, None if it can."""
    java = shutil.which("java")
    if java is None:
        return "there is no java on the PATH"
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if match is None:
        return "java -version says nothing"
    major = int(match[2]) if match[1] == "1" else int(match[1])
    return None if major >= 11 else f"java has version {major}"


def install(version: str) -> Path:
    """Make the virtual environment with one version of PyFlink; return its Python."""
    directory = ROOT / f".venv-flink-{version}"
    python = directory / "bin" / "python"
    probe = f"import pyflink.version as v; assert v.__version__ == {version!r}"
    found = (
        python.exists()
        and not subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode
    )
    if found:
        return python
    print(f"installing apache-flink {version} into {directory}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    # apache-beam of PyFlink 1.20 imports pkg_resources.
    packages = [f"apache-flink=={version}", "setuptools<81"]
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *packages], check=True)
    return python


def main() -> int:
    """Run the round trips and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flink", action="append", help="version of PyFlink, may be repeated")
    parser.add_argument("--parallelism", action="append", type=int, choices=PARALLELISMS)
    parser.add_argument("--reuse", action="store_true", help="compare what earlier runs left")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "flink-roundtrip")
    arguments = parser.parse_args()
    problem = java_problem()
    if problem is not None:
        print(f"SKIPPED: Flink needs Java 11 or newer, and {problem}. Nothing was tested.")
        return 0
    if sys.version_info[:2] > (3, 12):
        print("SKIPPED: PyFlink runs on Python 3.9 to 3.12. Nothing was tested.")
        return 0
    report = Report()
    for version in arguments.flink or VERSIONS:
        runs = Runs(arguments.work.resolve(), version, install(version), reuse=arguments.reuse)
        round_trip(runs, report, arguments.parallelism or PARALLELISMS)
    exact = sum(verdict == "exact" for _, _, verdict in report.rows)
    print(f"{exact} of {len(report.rows)} comparisons are exact.")
    return 0 if report.exact else 1


if __name__ == "__main__":
    sys.exit(main())
