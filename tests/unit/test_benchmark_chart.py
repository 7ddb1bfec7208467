"""The chart of a comparison: every job of it, in proportion."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as ET

import pytest
from benchmarks import chart

SVG = "{http://www.w3.org/2000/svg}"
RESULT = {
    "started": "2026-11-25T22:00:00+00:00",
    "flink": "2.3.0",
    "load_before": [0.7, 1.0, 2.0],
    "machine": {"processor": "A & B"},
    "comparisons": [
        {"what": what, "store": "heap", "ours": ours, "theirs": theirs, "other": other}
        for what, ours, theirs, other in (
            ("keyed sum, reduce, 100,000 keys", 0.5, 1.0, "Java"),
            ("tumbling 1 s, built-in, 10,000 keys", 2.0, 0.25, "Java"),
            ("keyed sum, reduce", 0.5, 0.01, "PyFlink, thread"),
            ("value get", 4.0, 4.0, "Java"),
        )
    ],
}


def test_draws_the_jobs_in_proportion(tmp_path, monkeypatch):
    source, target = tmp_path / "result.json", tmp_path / "new" / "speed.svg"
    source.write_text(json.dumps(RESULT))
    monkeypatch.setattr(sys, "argv", ["chart", str(source), str(target)])
    assert chart.main() == 0
    picture = ET.fromstring(target.read_text())
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert "A & B" in texts[0]
    assert texts[0].endswith("2026-11-25, load 1")
    assert texts[3:] == [
        *("keyed sum, reduce, 100,000 keys, heap", "0.5", "1"),
        *("tumbling 1 s, built-in, 10,000 keys, heap", "2", "0.25"),
    ]
    widths = [float(each.get("width")) for each in picture.iter(f"{SVG}rect")][3:]
    assert [round(width / max(widths), 2) for width in widths] == [0.25, 0.5, 1.0, 0.12]


def test_says_that_a_result_compares_nothing():
    with pytest.raises(SystemExit, match=r"python -m benchmarks\.flink"):
        chart.works_of({"measurements": []})


def test_refuses_a_quick_run():
    with pytest.raises(SystemExit, match="Run without --quick"):
        chart.works_of({**RESULT, "quick": True})


def test_says_how_it_is_used(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["chart"])
    with pytest.raises(SystemExit, match=r"RESULT\.json CHART\.svg"):
        chart.main()
