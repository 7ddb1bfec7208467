"""The memory limit of the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.configuration.container_memory import container_memory_bytes

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1024**3


def _machine(root: Path, groups: str, limits: dict[str, str]) -> Path:
    files = {
        "proc/self/cgroup": groups,
        "proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n",
        **{f"sys/fs/cgroup/{name}": limit for name, limit in limits.items()},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_version_2_takes_the_smallest_limit_on_the_way_up(tmp_path: Path) -> None:
    limits = {
        "a/b/memory.max": "max\n",
        "a/memory.max": f"{2 * GIB}\n",
        "memory.max": f"{4 * GIB}\n",
    }
    assert container_memory_bytes(_machine(tmp_path, "0::/a/b\n", limits)) == 2 * GIB


def test_in_a_container_only_the_top_can_be_seen(tmp_path: Path) -> None:
    limits = {"memory.max": str(GIB)}
    assert container_memory_bytes(_machine(tmp_path, "0::/docker/12ab\n", limits)) == GIB


def test_version_1(tmp_path: Path) -> None:
    groups = "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n"
    limits = {
        "memory/x/memory.limit_in_bytes": str(3 * GIB),
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert container_memory_bytes(_machine(tmp_path, groups, limits)) == 3 * GIB


def test_a_limit_above_the_machine_is_none(tmp_path: Path) -> None:
    root = _machine(tmp_path, "0::/\n", {"memory.max": str(64 * GIB)})
    assert container_memory_bytes(root) is None


def test_nothing_to_read_is_no_limit(tmp_path: Path) -> None:
    assert container_memory_bytes(tmp_path) is None
    assert container_memory_bytes(_machine(tmp_path, "broken\n0::/x\n", {})) is None
