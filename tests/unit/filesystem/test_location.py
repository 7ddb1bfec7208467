from __future__ import annotations

import sys

import pytest
from fsspec.registry import _registry as loaded_drivers

from millpond.errors import ConfigurationError, MissingDependencyError
from millpond.filesystem import LocalFileSystem, MemoryFileSystem, get_file_system
from millpond.filesystem.path import directory_of, is_plain_name, join, name_of, scheme_of
from millpond.filesystem.remote import open_fsspec


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/tmp/a", "/tmp/a"),
        ("/tmp/a/", "/tmp/a"),
        ("//tmp/a", "/tmp/a"),
        ("/tmp/b/../a", "/tmp/a"),
        ("file:/tmp/a", "/tmp/a"),
        ("file:///tmp/a", "/tmp/a"),
        ("file://localhost/tmp/a", "/tmp/a"),
        ("FILE:///tmp/a%20b c", "/tmp/a%20b c"),
    ],
)
def test_local_urls(url, path):
    file_system, found = get_file_system(url)
    assert isinstance(file_system, LocalFileSystem)
    assert found == path
    assert get_file_system(file_system.url(found)) == (file_system, path)


def test_relative_paths_start_at_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert get_file_system("a/b")[1] == str(tmp_path / "a" / "b")
    assert get_file_system(tmp_path)[1] == str(tmp_path)


@pytest.mark.parametrize("url", ["memory:///a/b", "memory://a/b/", "memory:/a/./b"])
def test_memory_urls(url):
    file_system, path = get_file_system(url)
    assert isinstance(file_system, MemoryFileSystem)
    assert path == "/a/b"
    assert get_file_system(file_system.url(path)) == (file_system, "/a/b")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "must not be empty"),
        ("a\0b", "NUL"),
        ("file://host/a", "names the host 'host'"),
        ("file:a", "absolute path"),
        ("memory:///a/../b", "must not hold"),
        ("nosuch://a/b", "cannot be used"),
    ],
)
def test_unusable_urls(url, text):
    with pytest.raises(ConfigurationError, match=text):
        get_file_system(url)


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("s3://bucket/a", 'pip install "millpond[s3]"'),
        ("hdfs://namenode:40010/flink", 'pip install "millpond[hdfs]"'),
        ("gs://bucket/a", "pip install gcsfs"),
    ],
)
def test_a_missing_driver_is_named_with_its_command(url, command, monkeypatch):
    for module in ("s3fs", "hdfs_native", "hdfs_native.fsspec", "gcsfs"):
        monkeypatch.setitem(sys.modules, module, None)
    # Another test may have loaded the driver.
    monkeypatch.delitem(loaded_drivers, url.partition(":")[0], raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        get_file_system(url)
    assert command in str(caught.value)


def test_the_url_prefix_of_a_driver_is_kept():
    file_system, path = open_fsspec("memory://host/a/b", "memory")
    assert path == "/host/a/b"
    assert open_fsspec(file_system.url(path), "memory")[1] == path
    assert not file_system.is_local


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "file:x"])
def test_names_that_lead_elsewhere(name):
    assert not is_plain_name(name)


def test_path_text():
    assert join("s3://b/a/", "c", "d") == "s3://b/a/c/d"
    assert join("/", "a") == "/a"
    assert name_of("s3://b/a/") == "a"
    assert directory_of("/a/b") == "/a"
    assert directory_of("/a") == "/"
    assert directory_of("/") == "/"
    assert directory_of("file:///a/b") == "file:///a"
    assert directory_of("file:///a") == directory_of("file:///") == "file:///"
    assert directory_of("file:/a") == "file:/"
    assert directory_of("s3://b/a") == directory_of("s3://b") == "s3://b/"
    assert join("file:///", "a") == "file:///a"
    assert join("s3://b/", "a") == join("s3://b", "a") == "s3://b/a"
    assert scheme_of("C:/x") == ""
    assert scheme_of("./a:b") == ""
    assert scheme_of("S3A://x") == "s3a"
    assert is_plain_name("0a-1b")
