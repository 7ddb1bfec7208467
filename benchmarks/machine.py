"""What machine and what software a result comes from, and how busy both were."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ("load", "machine_facts")

_PACKAGES = ("millpond", "rocksdict", "msgspec", "cloudpickle", "mmh3", "google-crc32c")


def load() -> list[float]:
    """Return the load averages of 1, 5 and 15 minutes; empty where there are none."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


def machine_facts() -> dict[str, object]:
    """Return what a reader needs to compare a result with another one."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": _memory_mb(),
        "optimized": sys.flags.optimize,
        "executable": sys.executable,
        "configured": _build(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _build() -> str:
    """Return how the interpreter was configured, where it says so; see docs/speed.md."""
    return str(sysconfig.get_config_var("CONFIG_ARGS") or "")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError, AttributeError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
