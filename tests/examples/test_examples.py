"""Every example prints what it should, and so do the Python blocks of the README and the docs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"
_EXPECTED = Path(__file__).parent / "expected"
# A program, at most one line between, and what it prints.
_BLOCK = re.compile(
    r"^```python\n(.*?)^```\n+(?:[^\n]+\n+)?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_PAGES = ("README.md", "docs/quickstart.md", "docs/testing.md")


def _run(arguments, directory):
    # Warnings of a user's program would be noise on a terminal: they fail the test instead.
    command = [sys.executable, "-W", "error", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def _printed_programs():
    for page in _PAGES:
        blocks = _BLOCK.findall((_ROOT / page).read_text(encoding="utf-8"))
        for number, (program, output) in enumerate(blocks, 1):
            yield pytest.param(program, output, id=f"{page}-{number}")


def test_every_example_has_its_expected_output():
    programs = {path.stem for path in _EXAMPLES.glob("*.py")}
    assert programs == {path.stem for path in _EXPECTED.glob("*.txt")}
    assert programs


@pytest.mark.parametrize("name", sorted(path.stem for path in _EXPECTED.glob("*.txt")))
def test_example(name, tmp_path):
    if name.startswith("kafka"):
        pytest.importorskip("confluent_kafka")
    expected = (_EXPECTED / f"{name}.txt").read_text(encoding="utf-8")
    assert _run([str(_EXAMPLES / f"{name}.py")], tmp_path) == expected


@pytest.mark.parametrize(("program", "output"), list(_printed_programs()))
def test_printed_program_and_its_output(program, output, tmp_path):
    path = tmp_path / "job.py"
    path.write_text(program, encoding="utf-8")
    assert _run([str(path)], tmp_path) == output
