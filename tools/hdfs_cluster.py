"""Starts a real HDFS on loopback: one NameNode and one DataNode, from Maven Central's artifacts.

    python tools/hdfs_cluster.py

Prints the URLs and serves until it is interrupted. Needs Java 11 or newer and Maven; the first
start fetches about 100 MB. The tests use `hdfs_cluster`, which says why it cannot start one.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent / "hdfs"
FETCH_SECONDS = 300
# Without the second, WebHDFS answers every request with code 500 on Java 17.
_JVM_OPTIONS = ("-Xmx512m", "--add-opens=java.base/java.lang=ALL-UNNAMED")
_ANSWER = re.compile(r"hdfs=(\d+) webhdfs=(\d+)")


class UnavailableError(Exception):
    """HDFS cannot be started here; the text says why."""


@dataclass(frozen=True)
class HdfsUrls:
    """Where the cluster answers."""

    hdfs: str
    webhdfs: str


@contextlib.contextmanager
def hdfs_cluster() -> Iterator[HdfsUrls]:
    """Start a cluster with empty directories, and end it.

    Raises:
        UnavailableError: there is no Java, no Maven, or the artifacts cannot be fetched.
    """
    java = _java()
    class_path = _class_path()
    with tempfile.TemporaryDirectory(prefix="millpond-hdfs-") as directory:
        log, data = Path(directory, "log"), str(Path(directory, "data"))
        program = str(HERE / "HdfsCluster.java")
        with log.open("w") as errors:
            process = subprocess.Popen(
                [java, *_JVM_OPTIONS, "-cp", class_path, program, data],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=directory,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            answer = _ANSWER.search(process.stdout.readline())
            if answer is None:
                process.wait()
                raise RuntimeError(f"The cluster did not start:\n{log.read_text()[-3000:]}")
            yield HdfsUrls(f"hdfs://127.0.0.1:{answer[1]}", f"webhdfs://127.0.0.1:{answer[2]}")
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise UnavailableError("There is no `java` on the path; HDFS needs Java 11 or newer.")
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', text)
    if version is None or int(version[1]) < 11:
        raise UnavailableError(f"HDFS needs Java 11 or newer; this is {text.splitlines()[0]}.")
    return java


def _class_path() -> str:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("There is no `mvn` on the path to fetch Hadoop with.")
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "class-path")
        command = [
            *(maven, "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:build-classpath"),
            f"-Dmdep.outputFile={target}",
        ]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"Maven did not answer in {FETCH_SECONDS} s.") from error
        if run.returncode:
            raise UnavailableError(f"Maven cannot fetch Hadoop: {run.stdout[-500:]}")
        return target.read_text().strip()


def main() -> None:
    """Serve until interrupted."""
    try:
        with hdfs_cluster() as urls:
            print(f"{urls.hdfs}\n{urls.webhdfs}\nCtrl-C ends it.", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                sys.stdin.read()
    except UnavailableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
