"""What the flights job must answer: the same questions asked of the whole table at once.

It shares nothing with the job: no streams, no watermarks, no timers, its own parser.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import zipfile
from collections import defaultdict
from itertools import groupby, pairwise

NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
UTC = dt.UTC


def read_flights(path):
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    for row in csv.DictReader(io.StringIO(text)):
        hour = dt.datetime.fromisoformat(row["time_hour"])
        scheduled = hour + dt.timedelta(minutes=int(row["minute"]))
        delay = None if row["dep_delay"] == "NA" else int(row["dep_delay"])
        yield {
            "aircraft": None if row["tailnum"] == "NA" else row["tailnum"],
            "origin": row["origin"],
            "route": row["origin"] + "-" + row["dest"],
            "scheduled": scheduled,
            "delay": delay,
            "arrival_delay": None if row["arr_delay"] == "NA" else int(row["arr_delay"]),
            "departed": scheduled + dt.timedelta(minutes=delay or 0),
        }


def text(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def expected_lines(path):
    """Return the sorted lines of the job with a watermark delay that makes nothing late."""
    flights = list(read_flights(path))
    results = [*_hours(flights)]
    by_aircraft = defaultdict(list)
    for flight in flights:
        if flight["aircraft"] is not None and flight["delay"] is not None:
            by_aircraft[flight["aircraft"]].append(flight)
    for aircraft, own in by_aircraft.items():
        own.sort(key=lambda flight: (flight["departed"], flight["scheduled"], flight["route"]))
        results += _knock_ons(aircraft, own)
        results += _accounts(aircraft, own)
        results += _missing(aircraft, own)
    return sorted(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in results)


def _hours(flights):
    hours = defaultdict(list)
    for flight in flights:
        hour = flight["departed"].replace(minute=0)
        hours[flight["origin"], hour].append(flight["delay"])
    for (origin, hour), delays in hours.items():
        flown = [delay for delay in delays if delay is not None]
        yield {
            "kind": "hour",
            "origin": origin,
            "hour": text(hour),
            "flights": len(flown),
            "cancelled": len(delays) - len(flown),
            "mean_delay": round(sum(flown) / len(flown), 2) if flown else None,
            "worst_delay": max(flown, default=None),
        }


def _knock_ons(aircraft, flights):
    chain = []
    for before, after in pairwise(flights):
        late = (before["arrival_delay"] or 0) >= 15 and after["delay"] >= 15
        near = after["scheduled"] - before["scheduled"] <= dt.timedelta(days=1)
        if not (late and near):
            chain = []
            continue
        chain.append(min(before["arrival_delay"], after["delay"]))
        yield {
            "kind": "knock_on",
            "aircraft": aircraft,
            "departed": text(after["departed"]),
            "after": before["route"],
            "route": after["route"],
            "minutes": chain[-1],
            "chain": len(chain),
            "chain_minutes": sum(chain),
        }


def _accounts(aircraft, flights):
    def month(flight):
        return flight["departed"].astimezone(NEW_YORK).strftime("%Y-%m")

    for name, members in groupby(flights, month):
        routes = defaultdict(int)
        for flight in members:
            if (flight["arrival_delay"] or 0) > 0:
                routes[flight["route"]] += flight["arrival_delay"]
        if not routes:
            continue
        yield {
            "kind": "account",
            "aircraft": aircraft,
            "month": name,
            "minutes_lost": sum(routes.values()),
            "routes": routes,
        }


def _missing(aircraft, flights):
    end = dt.datetime(2014, 1, 1, tzinfo=NEW_YORK)
    silence = dt.timedelta(hours=72)
    days = 0
    previous_day = None
    for flight, following in zip(flights, [*flights[1:], None], strict=True):
        day = flight["departed"].astimezone(NEW_YORK).date()
        if previous_day is None or (day - previous_day).days > 1:
            days = 1
        elif day != previous_day:
            days += 1
        previous_day = day
        noticed = flight["departed"] + silence
        seen_again = following is not None and following["departed"] <= noticed
        if days >= 14 and not seen_again and noticed <= end:
            yield {
                "kind": "missing",
                "aircraft": aircraft,
                "last_seen": text(flight["departed"]),
                "last_route": flight["route"],
                "daily_for_days": days,
                "noticed": text(noticed),
            }
