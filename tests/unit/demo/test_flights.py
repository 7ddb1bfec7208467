"""The functions of the flights job, played without an engine, against the independent model."""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from types import SimpleNamespace

import pytest

from millpond.clock import ManualClock
from millpond.datastream.window import TimeWindow
from millpond.demo.flight_source import FlightSource
from millpond.demo.flights import AircraftLog, HourlyDelays, HourlyReport, _json_line

HOUR = 3_600_000


class Value:
    def __init__(self):
        self.content = None

    def value(self):
        return self.content

    def update(self, value):
        self.content = value


class Elements:
    def __init__(self):
        self.content = []

    def get(self):
        return iter(self.content)

    def add(self, value):
        self.content.append(value)

    def update(self, values):
        self.content = list(values)


class Entries(dict):
    def put(self, key, value):
        self[key] = value


class OneKey:
    """Contexts and states of one key, as `AircraftLog` uses them."""

    def __init__(self, key):
        self.key, self.timers, self.function = key, [], AircraftLog()
        self.function.open(self)

    def get_state(self, descriptor):
        return Value()

    def get_list_state(self, descriptor):
        return Elements()

    def get_map_state(self, descriptor):
        return Entries()

    def get_current_key(self):
        return self.key

    def timer_service(self):
        return self

    def register_event_time_timer(self, timestamp):
        if timestamp not in self.timers:
            heapq.heappush(self.timers, timestamp)

    def element(self, flight):
        assert self.function.process_element(flight, self) is None

    def watermark(self, timestamp):
        while self.timers and self.timers[0] <= timestamp:
            yield from self.function.on_timer(heapq.heappop(self.timers), self)


def flights_of(path):
    source = FlightSource(path)
    reader = source.open_split(source.splits(1)[0], None, ManualClock())
    while not reader.finished:
        yield from reader.read(5000).values


def play(path, watermark_every, lateness_ms=24 * HOUR):
    """Return the results of the aircraft log, with a watermark after so many flights."""
    keys, results, latest = {}, [], 0
    for number, flight in enumerate(flights_of(path), 1):
        latest = max(latest, flight.departed_ms)
        if not flight.cancelled and flight.aircraft:
            keys.setdefault(flight.aircraft, OneKey(flight.aircraft)).element(flight)
        if number % watermark_every == 0:
            for key in keys.values():
                results += key.watermark(latest - lateness_ms - 1)
    for key in keys.values():
        results += key.watermark(1 << 62)
    return results


def hours(path):
    aggregate, report = HourlyDelays(), HourlyReport()
    windows = defaultdict(aggregate.create_accumulator)
    for flight in flights_of(path):
        hour = flight.departed_ms // HOUR * HOUR
        windows[flight.origin, hour] = aggregate.add(flight, windows[flight.origin, hour])
    for (origin, hour), accumulator in windows.items():
        context = SimpleNamespace(window=lambda hour=hour: TimeWindow(hour, hour + HOUR))
        yield from report.process(origin, context, [aggregate.get_result(accumulator)])


@pytest.mark.parametrize("watermark_every", [100, 10**9])
def test_the_functions_give_the_models_answer(some_flights, flights_model, watermark_every):
    results = [*play(some_flights, watermark_every), *hours(some_flights)]
    lines = sorted(map(_json_line, results))
    assert lines == flights_model.expected_lines(some_flights)
    kinds = {json.loads(line)["kind"] for line in lines}
    assert kinds == {"knock_on", "account", "missing", "hour"}


def test_where_the_watermark_advances_does_not_matter(some_flights):
    def lines(watermark_every):
        return sorted(map(_json_line, play(some_flights, watermark_every)))

    assert lines(77) == lines(5000)


def test_a_chain_of_knock_on_delays(flights_file):
    path = flights_file(
        ("6:00", 20, 30, "N1", "JFK", "BOS"),
        ("10:00", 45, 40, "N1", "LGA", "DCA"),
        ("14:00", 16, 50, "N1", "EWR", "ORD"),
        ("18:00", 10, 99, "N1", "JFK", "LAX"),
        ("9:00", 99, 99, "N2", "JFK", "LAX"),
    )
    knock_ons = [result for result in play(path, 1) if result["kind"] == "knock_on"]
    assert [
        (row["after"], row["route"], row["minutes"], row["chain"], row["chain_minutes"])
        for row in knock_ons
    ] == [("JFK-BOS", "LGA-DCA", 30, 1, 30), ("LGA-DCA", "EWR-ORD", 16, 2, 46)]


def test_an_account_sums_late_arrivals_by_route(flights_file):
    path = flights_file(
        ("6:00", 20, 30, "N1", "JFK", "BOS"),
        ("10:00", 45, -10, "N1", "JFK", "BOS"),
        ("14:00", 16, "NA", "N1", "EWR", "ORD"),
        ("15:00", "NA", "NA", "N1", "EWR", "ORD"),
    )
    (account,) = (result for result in play(path, 1) if result["kind"] == "account")
    assert account == {
        "kind": "account",
        "aircraft": "N1",
        "month": "2013-01",
        "minutes_lost": 30,
        "routes": {"JFK-BOS": 30},
    }


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        ((1, 0, 5, 5), (2, 1, -8, -3), (3, 1, -3, 5)),
        ((0, 2, 0, 0), (1, 0, -4, -4), (1, 2, -4, -4)),
        ((0, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 0)),
    ],
)
def test_hours_merge_whatever_is_empty(first, second, merged):
    assert HourlyDelays().merge(first, second) == merged
    assert HourlyDelays().merge(second, first) == merged
