"""Duration, Instant and Time."""

from __future__ import annotations

import pytest

from millpond.common import Duration, Instant, Time


@pytest.mark.parametrize(
    ("duration", "millis", "text"),
    [
        (Duration.of_days(1), 86_400_000, "Duration.of_seconds(86400)"),
        (Duration.of_hours(2), 7_200_000, "Duration.of_seconds(7200)"),
        (Duration.of_minutes(3), 180_000, "Duration.of_seconds(180)"),
        (Duration.of_seconds(4), 4000, "Duration.of_seconds(4)"),
        (Duration.of_millis(1500), 1500, "Duration.of_millis(1500)"),
        (Duration.of_nanos(1), 0, "Duration.of_nanos(1)"),
    ],
)
def test_duration(duration, millis, text):
    assert duration.to_millis() == millis
    assert repr(duration) == text
    assert eval(text) == duration


def test_durations_compare():
    assert Duration.of_seconds(60) == Duration.of_minutes(1)
    assert Duration.of_seconds(1) < Duration.of_millis(1001)


@pytest.mark.parametrize("milliseconds", [0, 1, -1, 1_600_000_000_123, -1_000])
def test_instant_in_milliseconds(milliseconds):
    instant = Instant.of_epoch_milli(milliseconds)
    assert instant.to_epoch_milli() == milliseconds
    assert 0 <= instant.nanos < 1_000_000_000


def test_instants_are_values():
    assert Instant(1, 2) == Instant(1, 2)
    assert hash(Instant(1, 2)) == hash(Instant(1, 2))
    assert Instant(1, 2) != Instant(1, 3)
    assert Instant(1, 2) != 1
    assert repr(Instant(1, 2)) == "Instant<1, 2>"


def test_time():
    assert Time.seconds(1) == Time.milliseconds(1000)
    assert hash(Time.hours(1)) == hash(Time.minutes(60))
    assert Time.days(1).to_milliseconds() == 86_400_000
    assert Time.days(1) != 86_400_000
    assert repr(Time.seconds(2)) == "Time.milliseconds(2000)"
