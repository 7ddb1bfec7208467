"""HDFS against a real NameNode and DataNode on loopback: natively, and over WebHDFS."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.hdfs


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("hdfs_native", reason="needs millpond[hdfs]")
    path = Path(__file__).parents[2] / "tools" / "hdfs_cluster.py"
    specification = importlib.util.spec_from_file_location("hdfs_cluster", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    try:
        with module.hdfs_cluster() as urls:
            yield urls
    except module.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["hdfs", "webhdfs"])
def root(request, cluster):
    if request.param == "webhdfs":
        pytest.importorskip("requests", reason="WebHDFS needs requests")
    return f"{getattr(cluster, request.param)}/{request.param}"


def test_files(root, check_files):
    check_files(f"{root}/files")


def test_one_of_two_jobs_completes_a_checkpoint(root, check_two_jobs):
    check_two_jobs(f"{root}/two")


def test_the_whole_cycle_of_a_job(root, cycle):
    cycle(f"{root}/flink").play()
