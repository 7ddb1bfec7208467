"""The demo's data, and the independent model of its answer."""

from __future__ import annotations

import importlib.util
import zipfile
import zlib
from pathlib import Path

import pytest

from millpond.demo.flight_source import find_flights_file
from millpond.errors import MissingDependencyError

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,"
    "flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
)


@pytest.fixture(scope="session")
def flights_model():
    path = Path(__file__).with_name("flights_model.py")
    spec = importlib.util.spec_from_file_location("flights_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def all_flights():
    try:
        return find_flights_file()
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def some_flights(all_flights, tmp_path_factory):
    """A fortieth of the aircraft through the whole year, as a file of their own."""
    with zipfile.ZipFile(all_flights) as archive:
        lines = archive.read("flights.csv").decode().splitlines()
    kept = [line for line in lines[1:] if zlib.crc32(line.split(",", 12)[11].encode()) % 40 == 0]
    return write_flights(tmp_path_factory.mktemp("flights") / "flights.csv.zip", kept)


@pytest.fixture
def flights_file(tmp_path):
    def write(*flights):
        """Write flights of (scheduled "HH:MM" on 2 January, delays, aircraft, origin, dest)."""
        rows = []
        for scheduled, departure, arrival, aircraft, origin, destination in flights:
            hour, minute = map(int, scheduled.split(":"))
            rows.append(
                f"2013,1,2,NA,{hour}{minute:02},{departure},NA,NA,{arrival},UA,1,{aircraft},"
                f"{origin},{destination},NA,100,{hour},{minute},2013-01-02T{hour + 5:02}:00:00Z"
            )
        return write_flights(tmp_path / "flights.csv.zip", rows)

    return write


def write_flights(path, rows):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", "\n".join([HEADER, *rows]) + "\n")
    return path
