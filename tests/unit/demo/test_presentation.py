"""Both presentations show the same facts."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from millpond.clock import ManualClock
from millpond.demo.plain_presentation import PlainPresentation
from millpond.demo.presentation import (
    Proof,
    Table,
    checkpoint_table,
    date_text,
    result_tables,
    size_text,
)
from millpond.demo.progress import CheckpointRow, JobProgress
from millpond.demo.results import Highlights
from millpond.demo.rich_presentation import RichPresentation
from millpond.demo.terminal import open_presentation

AUGUST = 1_376_000_000_000


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture(params=["plain", "rich"])
def presentation(request, stream):
    clock = ManualClock()
    if request.param == "plain":
        return PlainPresentation(stream, clock)
    return RichPresentation(Console(file=stream, width=120, force_terminal=True), clock)


def test_progress_shows_events_time_and_checkpoint(presentation, stream):
    presentation.start(1000, 0)
    presentation.progress(JobProgress(700, AUGUST, 4, 2048))
    presentation.stop()
    presentation.stop()
    text = stream.getvalue()
    for part in ("70%", "700", "08 Aug 2013", "checkpoint 4", "2.0 KiB"):
        assert part in text


def test_tables_show_titles_columns_and_cells(presentation, stream):
    presentation.table(Table("A title", ("name", "count "), (("[b]x[/b]", "1,000"), ("y", "2"))))
    for part in ("A title", "name", "count", "[b]x[/b]", "1,000"):
        assert part in stream.getvalue()


@pytest.mark.parametrize(
    ("calm", "verdict"), [("d1", "are equal"), ("d2", "DIGESTS DIFFER"), (None, "d1")]
)
def test_the_proof_says_whether_it_holds(presentation, stream, calm, verdict):
    proof = Proof(5, "d1", calm)
    presentation.proof(proof)
    assert verdict in stream.getvalue()
    assert proof.holds == (calm != "d2")


def test_plain_lines_come_with_every_tenth_only(stream):
    plain = PlainPresentation(stream, ManualClock())
    plain.start(100, 0)
    for records in range(101):
        plain.progress(JobProgress(records))
    for records in (60, 80, 100):  # after a crash
        plain.progress(JobProgress(records))
    percents = [line.split()[0] for line in stream.getvalue().splitlines()]
    assert percents == [f"{n}%" for n in range(10, 101, 10)]


def test_plain_columns_are_aligned(stream):
    PlainPresentation(stream, ManualClock()).table(
        Table("T", ("a", "number "), (("x", "1"), ("long", "22,222")))
    )
    assert stream.getvalue().splitlines()[1:] == [
        "T",
        "  a     number",
        "  x          1",
        "  long  22,222",
    ]


def test_output_that_is_no_terminal_gets_plain_lines(capsys):
    presentation = open_presentation(ManualClock())
    presentation.say("hello [bold]")
    assert capsys.readouterr().out == "hello [bold]\n"


def test_of_many_checkpoints_the_first_and_last_are_shown():
    rows = [CheckpointRow(n, "incremental", 1234, 2048, 5 << 20) for n in range(1, 31)]
    table = checkpoint_table(rows, limit=6)
    assert [row[0] for row in table.rows] == ["1", "2", "3", "… 24 more", "28", "29", "30"]
    assert table.rows[0][1:] == ("incremental", "1,234 ms", "2.0 KiB", "5.0 MiB")
    assert len(checkpoint_table(rows[:6], limit=6).rows) == 6


def test_result_tables_are_readable_and_leave_out_what_is_empty():
    found = Highlights(
        {"hour": 1},
        (("JFK-LAX", 12345),),
        (),
        (
            {
                "aircraft": "N1",
                "daily_for_days": 20,
                "last_seen": "2013-02-03T04:05Z",
                "last_route": "JFK-LAX",
                "noticed": "2013-02-06T04:05Z",
            },
        ),
        (
            {
                "origin": "EWR",
                "hour": "2013-02-03T04:00Z",
                "cancelled": 9,
                "flights": 0,
                "mean_delay": None,
                "worst_delay": None,
            },
        ),
        0,
    )
    tables = result_tables(found)
    assert [table.rows for table in tables] == [
        (("JFK-LAX", "12,345"),),
        (("N1", "20", "03 Feb 04:05", "JFK-LAX", "06 Feb 04:05"),),
        (("EWR", "03 Feb 04:00", "9", "0", "-", "-"),),
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_are_readable(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize("timestamp", [None, -(1 << 63), (1 << 63) - 1])
def test_the_ends_of_time_are_no_dates(timestamp):
    assert date_text(timestamp) == "-"
