"""WebHDFS's requests, and what its answers mean; a real one is in tests/remote."""

from __future__ import annotations

import io
import json

import pytest

from millpond.filesystem import get_file_system

requests = pytest.importorskip("requests")


class NameNode:
    """Answers requests of the driver; keeps (operation, method, path, data, options)."""

    def __init__(self):
        self.seen, self.files, self.renames = [], {}, True

    def request(self, method, url, params=None, data=None, **_):
        host, _, path = url.partition("/webhdfs/v1")
        params = dict(params or {})
        operation = params.pop("op", "data")
        self.seen.append((operation, method, path))
        if host.endswith(":2"):
            path, _, operation = path.partition("?")
            if operation == "READ":
                return answer(200 if self.files else 500, b"content")
            self.files[path] = self.files.get(path, b"") * (operation == "APPEND") + data
            return answer(200)
        if operation in {"CREATE", "APPEND", "OPEN"}:
            kind = "READ" if operation == "OPEN" else operation
            return answer(307, location=f"http://host:2/webhdfs/v1{path}?{kind}")
        if operation == "RENAME":
            self.options = params
            return answer(200, json.dumps({"boolean": self.renames}).encode())
        if operation == "GETFILESTATUS" and path in self.files:
            status = {"type": "FILE", "length": len(self.files[path]), "modificationTime": 0}
            return answer(200, json.dumps({"FileStatus": status}).encode())
        exception = {"exception": "FileNotFoundException", "message": "no such file"}
        return answer(404, json.dumps({"RemoteException": exception}).encode())

    def get(self, url):
        return self.request("GET", url)


def answer(code, content=b"", location=None):
    response = requests.Response()
    response.status_code = code
    response.raw = io.BytesIO(content)
    if location is not None:
        response.headers["Location"] = location
    return response


@pytest.fixture
def node():
    return NameNode()


@pytest.fixture
def files(node):
    file_system, _ = get_file_system("webhdfs://host:1/")
    file_system._driver.session = node
    return file_system


def operations(node):
    return [operation for operation, _, _ in node.seen]


def test_a_small_file_takes_three_requests(node, files):
    files.write_bytes("/data", b"content")
    assert operations(node) == ["CREATE", "data", "RENAME"]
    assert list(node.files.values()) == [b"content"]
    assert node.options["renameoptions"] == "OVERWRITE"


def test_further_blocks_are_appended(node, files):
    files._driver.blocksize = 10
    output = files.create("/data")
    for _ in range(3):
        output.write(b"0123456789ab")
    output.publish()
    assert list(node.files.values()) == [b"0123456789ab" * 3]
    del files._driver.blocksize


def test_an_exclusive_file_replaces_nothing(node, files):
    files.write_bytes("/data", b"content", exclusive=True)
    assert "renameoptions" not in node.options
    node.renames = False
    node.files["/data"] = b"another's"
    with pytest.raises(FileExistsError):
        files.write_bytes("/data", b"content", exclusive=True)
    del node.files["/data"]
    with pytest.raises(OSError, match="refused to rename"):
        files.write_bytes("/data", b"content", exclusive=True)


def test_an_error_of_a_data_node_is_no_content(node, files):
    node.files["/data"] = b"content"
    assert files.read_range("/data", 0, 7) == b"content"
    assert operations(node) == ["OPEN", "data"]
    node.files.clear()
    with pytest.raises(OSError, match="500"):
        files.read_range("/data", 0, 7)
    assert files.read_range("/data", 3, 3) == b""
