"""The profile of a run: long tests are left out unless they are asked for."""

from __future__ import annotations


def pytest_addoption(parser):
    parser.addoption(
        "--run-nightly", action="store_true", help="Run the tests marked nightly as well."
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-nightly"):
        return
    nightly = [item for item in items if item.get_closest_marker("nightly") is not None]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item.get_closest_marker("nightly") is None]
