"""The profile of a run: long tests are left out unless asked for; and what all may read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_GOLDEN = Path(__file__).parent / "golden" / "flink"

# Marker, and the option that asks for tests which carry it.
ON_REQUEST = {"nightly": "--run-nightly", "hdfs": "--run-hdfs"}


def pytest_addoption(parser):
    for marker, option in ON_REQUEST.items():
        parser.addoption(
            option, action="store_true", help=f"Run the tests marked {marker} as well."
        )


# Of property tests: the same cases in every run, however slow the machine is, so that a run which
# fails tells of the change that it is about. Nightly runs look for new ones.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_PATIENT)
settings.register_profile("exploring", print_blob=True, **_PATIENT)


def pytest_configure(config):
    nightly = config.getoption(ON_REQUEST["nightly"])
    settings.load_profile("exploring" if nightly else "repeatable")


def pytest_collection_modifyitems(config, items):
    for marker, option in ON_REQUEST.items():
        if config.getoption(option):
            continue
        left_out = [item for item in items if item.get_closest_marker(marker) is not None]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item.get_closest_marker(marker) is None]


@pytest.fixture(scope="session")
def flink_snapshots(tmp_path_factory):
    """Golden snapshots of Flink by folder: (path, expected content), as if they had been moved."""
    import gzip

    root = tmp_path_factory.mktemp("flink")
    found = {}
    for folder in sorted(_GOLDEN.iterdir()):
        if not folder.is_dir():
            continue
        shutil.copytree(folder, root / folder.name)
        for packed in (root / folder.name).rglob("*.gz"):
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
            packed.unlink()
        (expected_file,) = folder.glob("expected*.json")
        expected = json.loads(expected_file.read_text("utf-8"))
        path = root / folder.name / expected["savepoint"]
        _add_left_out_files(path)
        found[folder.name] = (str(path), expected)
    return found


def _add_left_out_files(path):
    """RocksDB's OPTIONS files are not among the golden ones: nobody reads them, but all look."""
    from millpond.formats.handles import FileHandle, InlineHandle
    from millpond.formats.metadata import read_metadata

    metadata = read_metadata((path / "_metadata").read_bytes())
    for operator in metadata.operators:
        for subtask in operator.subtasks.values():
            for handle in subtask.keyed_managed:
                for name, stream in getattr(handle, "private", ()):
                    if name.startswith("OPTIONS") and not isinstance(stream, InlineHandle):
                        file = (
                            path.parent / "shared" / Path(stream.path).name
                            if isinstance(stream, FileHandle)
                            else path / stream.name
                        )
                        if not file.exists():
                            file.write_bytes(bytes(stream.size))
