"""Apache Flink on this machine: a virtual environment of its own, its jars, our programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("VERSION", "Flink", "install", "problem")

VERSION = "2.3.0"
_HERE = Path(__file__).resolve().parent
_OPENED = ("java.util", "java.lang", "java.time")
_QUIET = "rootLogger.level = OFF\n"


@dataclass(frozen=True)
class Flink:
    """An installed Flink: `python` has PyFlink, `classpath` its jars and our programs."""

    python: Path
    classpath: str
    logging: Path

    def java(self, program: str, *arguments: object) -> list[dict[str, Any]]:
        """Run one of our Java programs; return the lines of JSON that it printed."""
        command = [
            "java",
            f"-Dlog4j.configurationFile={self.logging}",
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
            "-Xms2g",
            "-Xmx6g",
            "-cp",
            self.classpath,
            program,
        ]
        return _json_lines([*command, *map(str, arguments)], None)

    def pyflink(self, *arguments: object) -> dict[str, Any]:
        """Run the PyFlink program; return what it printed."""
        command = [str(self.python), str(_HERE / "pyflink_job.py"), *map(str, arguments)]
        # In thread mode the interpreter inside the JVM does not see the virtual environment.
        query = [str(self.python), "-c", "import sysconfig as s; print(s.get_paths()['purelib'])"]
        packages = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
        return _json_lines(command, {"PYTHONPATH": packages})[-1]


def problem() -> str | None:
    """Return why Flink cannot run here; None if it can."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        return "Flink needs a JDK 11 or newer, and there is no java or javac on the PATH"
    text = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    major = 0 if match is None else int(match[2] if match[1] == "1" else match[1])
    if major < 11:
        return f"Flink needs Java 11 or newer, and this is version {major}"
    if sys.version_info[:2] > (3, 12):
        return f"PyFlink {VERSION} runs on Python 3.9 to 3.12, and this is newer"
    return None


def install(directory: Path) -> Flink:
    """Install PyFlink, which brings the jars, into a virtual environment; compile the programs."""
    python = directory / "bin" / "python"
    probe = f"import pyflink.version as v; assert v.__version__ == {VERSION!r}"
    if not python.exists() or subprocess.run([python, "-c", probe], check=False).returncode:
        print(f"installing apache-flink {VERSION} into {directory} (about 800 MB)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"apache-flink=={VERSION}", "setuptools<81"], check=True)
    library = Path(
        sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)})
    )
    jars = sorted((library / "pyflink" / "lib").glob("*.jar"))
    built = Path(tempfile.mkdtemp(prefix="millpond-bench-flink-"))
    classpath = ":".join(map(str, (built, *jars)))
    programs = sorted(_HERE.glob("*.java"))
    subprocess.run(
        ["javac", "-nowarn", "-cp", classpath, "-d", built, *programs],
        check=True,
        capture_output=True,
    )
    logging = built / "log4j.properties"
    logging.write_text(_QUIET, encoding="utf-8")
    return Flink(python, classpath, logging)


def _json_lines(command: Sequence[str], environment: dict[str, str] | None) -> list[dict[str, Any]]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{command[0]} failed with exit code {done.returncode}:\n{tail}")
    return lines
