"""Snapshots that Apache Flink wrote are read back exactly as their expected.json says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "flink"
ROOTS = [GOLDEN]
if "MILLPOND_FLINK_FIXTURES" in os.environ:
    ROOTS.append(Path(os.environ["MILLPOND_FLINK_FIXTURES"]))
EXPECTED = [
    pytest.param(
        root, path, id=f"{path.parent.name}/{path.name}{'' if root is GOLDEN else ' (all)'}"
    )
    for root in ROOTS
    for path in sorted(root.glob("*/expected*.json"))
]


@pytest.mark.parametrize(("root", "path"), EXPECTED)
def test_snapshot_is_read_back_exactly(open_snapshot, root, path):
    snapshot = open_snapshot(root, path)
    expected = snapshot.expected
    assert snapshot.metadata.version == expected["metadata_version"]
    assert snapshot.metadata.checkpoint_id == expected["checkpoint_id"]
    assert expected["operators"]
    for operator in expected["operators"]:
        found = snapshot.content(operator)
        wanted = {name: operator[name] for name in found}
        for state in wanted.get("windows", []):
            state.setdefault("state_window", state["window"])
        assert json.dumps(found, indent=1, sort_keys=True) == json.dumps(
            wanted, indent=1, sort_keys=True
        )
    if "ttl_timestamps_between_ms" in expected:
        low, high = expected["ttl_timestamps_between_ms"]
        assert (min(snapshot.ttl_times), max(snapshot.ttl_times)) == (low, high)


def test_all_golden_fixtures_are_there():
    assert len(list(GOLDEN.glob("*/expected*.json"))) == 8
