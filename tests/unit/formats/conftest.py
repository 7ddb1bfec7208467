import io

import pytest


class Output:
    """A ByteOutput in memory."""

    def __init__(self):
        self.stream = io.BytesIO()
        self.writes = []

    def write(self, data):
        self.writes.append(len(data))
        self.stream.write(data)

    @property
    def position(self):
        return self.stream.tell()

    @property
    def data(self):
        return self.stream.getvalue()


@pytest.fixture
def output():
    return Output()


@pytest.fixture
def make_output():
    return Output
