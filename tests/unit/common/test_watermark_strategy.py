"""Watermark strategies describe; they are copied, never changed."""

from __future__ import annotations

import pytest

from millpond.common import Duration, TimestampAssigner, WatermarkGenerator, WatermarkStrategy
from millpond.common.watermark_strategy import WatermarkAlignment, WatermarkKind


class Second(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1]


class Punctuated(WatermarkGenerator):
    def on_event(self, event, timestamp, output):
        output.emit_watermark(timestamp)

    def on_periodic_emit(self, output):
        output.mark_idle()


def test_kinds():
    assert WatermarkStrategy.no_watermarks().kind is WatermarkKind.NONE
    assert WatermarkStrategy.no_watermarks().max_out_of_orderness_ms is None
    ascending = WatermarkStrategy.for_monotonous_timestamps()
    assert ascending == WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(0))
    assert ascending.max_out_of_orderness_ms == 0
    custom = WatermarkStrategy.for_generator(Punctuated)
    assert custom.kind is WatermarkKind.GENERATOR
    assert isinstance(custom.generator_factory(), Punctuated)


def test_options_make_copies():
    plain = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_seconds(5))
    assigner = Second()
    full = (
        plain.with_timestamp_assigner(assigner)
        .with_idleness(Duration.of_minutes(1))
        .with_watermark_alignment("group", Duration.of_seconds(20))
    )
    assert full.max_out_of_orderness_ms == 5000
    assert full.timestamp_assigner is assigner
    assert full.idle_timeout_ms == 60_000
    assert full.alignment == WatermarkAlignment("group", 20_000, 1000)
    assert plain.timestamp_assigner is plain.idle_timeout_ms is plain.alignment is None


def test_impossible_durations():
    with pytest.raises(ValueError, match="negative"):
        WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(-1))
    with pytest.raises(ValueError, match="positive"):
        WatermarkStrategy.no_watermarks().with_idleness(Duration.of_millis(0))


@pytest.mark.parametrize(
    ("group", "drift_ms", "interval_ms", "message"),
    [
        ("", 1, 1, "needs a name"),
        ("group", -1, 1, "negative: -1 ms"),
        ("group", 1, 0, "must be positive, it is 0 ms"),
    ],
)
def test_impossible_alignments(group, drift_ms, interval_ms, message):
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    with pytest.raises(ValueError, match=message):
        strategy.with_watermark_alignment(
            group, Duration.of_millis(drift_ms), Duration.of_millis(interval_ms)
        )


def test_a_source_without_watermarks_cannot_be_aligned():
    with pytest.raises(ValueError, match="without watermarks cannot be aligned"):
        WatermarkStrategy.no_watermarks().with_watermark_alignment("a", Duration.of_millis(1))


def test_what_is_no_assigner_or_generator_is_refused_at_once():
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    with pytest.raises(TypeError, match="no TimestampAssigner: subclass it"):
        strategy.with_timestamp_assigner(lambda value, timestamp: value)
    with pytest.raises(TypeError, match="a function that makes a WatermarkGenerator"):
        WatermarkStrategy.for_generator(Punctuated())
