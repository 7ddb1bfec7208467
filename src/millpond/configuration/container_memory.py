"""The memory that a container grants this process: the limit of its control group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("container_memory_bytes",)

_ROOT: Final = Path("/")


def container_memory_bytes(root: Path = _ROOT) -> int | None:
    """Return the smallest memory limit of the process's control groups, or None without one.

    Both versions of Linux's control groups are read, and every group above the own one. A limit
    that is not below the machine's memory is none. `root` is for tests.
    """
    limits = [limit for path in _limit_files(root) if (limit := _number(path)) is not None]
    smallest = min(limits, default=None)
    machine = _machine_bytes(root)
    if smallest is None or (machine is not None and smallest >= machine):
        return None
    return smallest


def _limit_files(root: Path) -> Iterator[Path]:
    groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        # In a container the path is often that of the host, and only the top can be seen.
        for depth in range(len(parts), -1, -1):
            if number == "0" and not controllers:
                yield groups.joinpath(*parts[:depth]) / "memory.max"
            elif "memory" in controllers.split(","):
                yield groups.joinpath("memory", *parts[:depth]) / "memory.limit_in_bytes"


def _machine_bytes(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    return None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
