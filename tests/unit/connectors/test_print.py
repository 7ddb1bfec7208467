"""`PrintSink`: text as Flink writes it."""

from __future__ import annotations

import pytest

from millpond.datastream.connectors.print import PrintSink


@pytest.mark.parametrize(
    ("identifier", "parallelism", "line"),
    [
        (None, 1, "v\n"),
        (None, 2, "2> v\n"),
        ("out", 1, "out> v\n"),
        ("out", 2, "out:2> v\n"),
    ],
)
def test_prefix_names_sink_and_subtask(capsys, writer_context, identifier, parallelism, line):
    context = writer_context(subtask=parallelism - 1, parallelism=parallelism)
    writer = PrintSink(identifier).create_writer(context, ())
    writer.write(["v"], None)
    writer.write([], None)
    assert capsys.readouterr().out == line


def test_standard_error_and_own_format(capsys, writer_context):
    writer = PrintSink(standard_error=True, format=repr).create_writer(writer_context(), ())
    writer.write(["a", ("b", 1)], [1, 2])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "'a'\n('b', 1)\n")
