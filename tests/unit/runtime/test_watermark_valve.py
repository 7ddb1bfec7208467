"""Cases of Flink's StatusWatermarkValveTest, and a model of it over any sequence."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.runtime.channel import Channel
from millpond.runtime.watermark_valve import WatermarkValve, combine


class Valve:
    """A valve whose channels are called by number; `seen` is what came out."""

    def __init__(self, count):
        self.channels = [Channel(0) for _ in range(count)]
        self.valve = WatermarkValve(self.channels)

    def __call__(self, channel, what):
        if isinstance(what, bool):
            self.valve.set_idle(self.channels[channel], idle=what)
        else:
            self.valve.advance(self.channels[channel], what)
        return self.valve.watermark, self.valve.idle


def test_single_input_increasing_watermarks():
    valve = Valve(1)
    assert valve(0, 0) == (0, False)
    assert valve(0, 25) == (25, False)


def test_single_input_decreasing_watermarks_yields_no_output():
    valve = Valve(1)
    assert valve(0, 25) == (25, False)
    assert valve(0, 18) == (25, False)
    assert valve(0, 42) == (42, False)


def test_single_input_stream_status_toggling():
    valve = Valve(1)
    assert valve(0, False) == (MIN_WATERMARK, False)
    assert valve(0, True) == (MIN_WATERMARK, True)
    assert valve(0, True) == (MIN_WATERMARK, True)
    assert valve(0, False) == (MIN_WATERMARK, False)


def test_single_input_watermarks_intact_during_idleness():
    valve = Valve(1)
    assert valve(0, 25) == (25, False)
    assert valve(0, True) == (25, True)
    assert valve(0, 50) == (25, True)
    assert valve(0, False) == (25, False)
    assert valve(0, 50) == (50, False)


def test_multiple_input_yields_watermark_only_when_all_channels_receive():
    valve = Valve(3)
    assert valve(0, 0) == (MIN_WATERMARK, False)
    assert valve(1, 0) == (MIN_WATERMARK, False)
    assert valve(2, 0) == (0, False)


def test_multiple_input_increasing_watermarks():
    valve = Valve(3)
    for channel in range(3):
        valve(channel, 0)
    assert valve(0, 12) == (0, False)
    assert valve(2, 10) == (0, False)
    assert valve(1, 9) == (9, False)
    assert valve(1, 11) == (10, False)
    assert valve(2, 12) == (11, False)


def test_multiple_input_watermark_advancement_with_idle_channels():
    valve = Valve(3)
    valve(0, 15)
    valve(1, 10)
    assert valve(2, True) == (10, False)
    assert valve(1, True) == (15, False)
    assert valve(0, 18) == (18, False)
    # What comes back behind the others is not waited for until it has caught up.
    assert valve(1, False) == (18, False)
    assert valve(1, 15) == (18, False)
    assert valve(0, 20) == (20, False)
    assert valve(1, 22) == (20, False)
    assert valve(0, 30) == (22, False)


def test_multiple_input_flush_max_watermark_and_stream_status_once_all_inputs_become_idle():
    valve = Valve(3)
    valve(0, 10)
    valve(1, 5)
    assert valve(2, 3) == (3, False)
    assert valve(0, True) == (3, False)
    assert valve(1, True) == (3, False)
    assert valve(2, True) == (10, True)


def test_multiple_input_watermark_realignment_after_resume_active():
    valve = Valve(2)
    valve(0, 10)
    valve(1, 7)
    assert valve(0, True) == (7, False)
    # It is ahead of the others: it counts at once.
    assert valve(0, False) == (7, False)
    assert valve(1, 12) == (10, False)


def test_no_output_when_all_channels_are_idle():
    valve = Valve(2)
    valve(0, 10)
    valve(1, 5)
    valve(0, True)
    valve(1, True)
    assert valve(0, 30) == (10, True)


def test_the_end_of_an_idle_channel_is_heard():
    valve = Valve(1)
    assert valve(0, True) == (MIN_WATERMARK, True)
    assert valve(0, MAX_WATERMARK) == (MAX_WATERMARK, False)


def test_the_end_of_one_channel_does_not_make_late_what_a_quiet_one_brings():
    valve = Valve(2)
    valve(0, 100)
    valve(1, 50)
    assert valve(1, True) == (100, False)
    assert valve(0, MAX_WATERMARK) == (100, True)
    assert valve(1, False) == (100, False)
    assert valve(1, 120) == (120, False)
    assert valve(1, MAX_WATERMARK) == (MAX_WATERMARK, False)


def test_an_ended_channel_holds_nothing_back():
    valve = Valve(2)
    valve(0, 100)
    assert valve(0, MAX_WATERMARK) == (MIN_WATERMARK, False)
    assert valve(1, 50) == (50, False)
    assert valve(1, True) == (100, True)


def test_an_input_that_is_active_again_holds_the_other_back():
    first, second = Valve(1), Valve(1)
    valves = (first.valve, second.valve)
    first(0, 5)
    second(0, 10)
    assert combine(valves) == (5, False)
    first(0, True)
    assert combine(valves) == (10, False)
    second(0, True)
    assert combine(valves) == (10, True)
    first(0, False)
    second(0, False)
    assert combine(valves) == (5, False)
    first(0, MAX_WATERMARK)
    assert combine(valves) == (10, False)
    second(0, True)
    assert combine(valves) == (10, True)
    second(0, MAX_WATERMARK)
    assert combine(valves) == (MAX_WATERMARK, False)


steps = st.lists(st.tuples(st.integers(0, 2), st.one_of(st.booleans(), st.integers(0, 30))))


@settings(deadline=None)
@given(steps)
def test_any_sequence(script):
    """The watermark never falls, and no active channel that kept up is behind it."""
    valve = Valve(3)
    last, behind = MIN_WATERMARK, set()
    for channel, what in script:
        was_idle = valve.channels[channel].idle
        before = valve.valve.watermark
        watermark, idle = valve(channel, what)
        assert watermark >= last
        assert idle == all(each.idle for each in valve.channels)
        if what is False and was_idle and valve.channels[channel].watermark < before:
            behind.add(channel)
        behind = {
            each
            for each in behind
            if not valve.channels[each].idle and valve.channels[each].watermark < watermark
        }
        for number, each in enumerate(valve.channels):
            if not each.idle and number not in behind:
                assert each.watermark >= watermark
        last = watermark
