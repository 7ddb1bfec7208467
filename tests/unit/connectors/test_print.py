"""`PrintSink`: text as Flink writes it."""

from __future__ import annotations

import enum

import pytest

from millpond.datastream.connectors.print import PrintSink, format_value


class Kind(enum.Enum):
    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3


class ARow:
    """What `PrintSink` expects of a Row: its kind, and its fields by iteration."""

    def __init__(self, kind, *fields):
        self.kind, self.fields = kind, fields

    def get_row_kind(self):
        return self.kind

    def __iter__(self):
        return iter(self.fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (5, "5"),
        (1.5, "1.5"),
        (None, "null"),
        (True, "true"),
        (("a", 1), "(a,1)"),
        (("a", (1, None)), "(a,(1,null))"),
        ([1, "b"], "[1, b]"),
        ({"k": [True]}, "{k=[true]}"),
        (ARow(Kind.INSERT, "a", 1), "+I[a, 1]"),
        (ARow(Kind.UPDATE_BEFORE, None), "-U[null]"),
        (ARow(Kind.UPDATE_AFTER, ("x", 2)), "+U[(x,2)]"),
        (ARow(Kind.DELETE), "-D[]"),
    ],
)
def test_values_print_as_in_java(value, text):
    assert format_value(value) == text


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
