"""How the page writes sizes, durations and numbers: its own script, run by Node where that is."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from millpond.rest import page

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node")

KI = 1024
UNKNOWN = "\u2013"


@pytest.fixture(scope="module")
def written():
    """What the functions make of every value of this module, by one start of Node."""
    asked = [(function, value) for function, value, _ in CASES]
    program = page._read("words.js") + (
        f"\nconst h = (tag, attributes, ...children) => [tag, attributes, children.flat(9)];"
        f"\nconst known = {{ duration, bytes, count, badge }};"
        f"\nconst asked = {json.dumps(asked)};"
        f"\nconsole.log(JSON.stringify(asked.map(([name, value]) => known[name](value))));"
    )
    done = subprocess.run(
        [NODE, "-"], input=program, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(map(repr, asked), json.loads(done.stdout), strict=True))


CASES = [
    ("duration", None, UNKNOWN),
    ("duration", -1, UNKNOWN),
    ("duration", 0, "0 ms"),
    ("duration", 999, "999 ms"),
    ("duration", 999.6, "1.0 s"),
    ("duration", 1000, "1.0 s"),
    ("duration", 9949, "9.9 s"),
    ("duration", 9999, "9 s"),
    ("duration", 59_999, "59 s"),
    ("duration", 60_000, "1 min 0 s"),
    ("duration", 3_599_999, "59 min 59 s"),
    ("duration", 3_600_000, "1 h 0 min"),
    ("duration", 86_399_999, "23 h 59 min"),
    ("duration", 90_000_000, "1 d 1 h"),
    ("bytes", None, UNKNOWN),
    ("bytes", -1, UNKNOWN),
    ("bytes", 0, "0 B"),
    ("bytes", 1023, "1023 B"),
    ("bytes", KI, "1.00 KiB"),
    ("bytes", 15 * KI + KI // 2, "15.5 KiB"),
    ("bytes", 250 * KI, "250 KiB"),
    ("bytes", KI**2 - 1, "1.00 MiB"),
    ("bytes", 5 * KI**3, "5.00 GiB"),
    ("bytes", 3 * KI**6, "3072 PiB"),
    ("count", -1, UNKNOWN),
    ("count", 0, "0"),
    ("count", 336_776, "336\u202f776"),
    ("badge", "IN_PROGRESS", ["span", {"class": "badge warn"}, ["in progress"]]),
    ("badge", "UNHEARD", ["span", {"class": "badge "}, ["unheard"]]),
]


@pytest.mark.parametrize(("function", "value", "text"), CASES)
def test_it_is_written(written, function, value, text):
    assert written[repr((function, value))] == text
