"""Session windows whose gap depends on the record: guests on a card stay longer than on foot."""

from millpond.common import Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import StreamExecutionEnvironment, WindowFunction
from millpond.datastream.window import (
    EventTimeSessionWindows,
    SessionWindowTimeGapExtractor,
    TimeWindow,
)

# Guest, second, seconds until this guest counts as gone.
SIGNS = [("ann", 1, 3), ("ann", 3, 10), ("ben", 4, 2), ("ann", 9, 3), ("ben", 9, 2), ("ann", 14, 3)]


class SecondOfSign(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 1000


class Patience(SessionWindowTimeGapExtractor):
    def extract(self, element):
        return element[2] * 1000


class Stay(WindowFunction):
    def apply(self, key, window: TimeWindow, inputs):
        yield key, window.start // 1000, window.end // 1000, len(list(inputs))


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(SecondOfSign())

    signs = env.from_collection(SIGNS, Types.TUPLE([Types.STRING(), Types.INT(), Types.INT()]))
    signs.assign_timestamps_and_watermarks(strategy).key_by(
        lambda sign: sign[0], key_type=Types.STRING()
    ).window(EventTimeSessionWindows.with_dynamic_gap(Patience())).apply(
        Stay(), Types.TUPLE([Types.STRING(), Types.LONG(), Types.LONG(), Types.INT()])
    ).print()
    env.execute("sessions with a dynamic gap")


if __name__ == "__main__":
    main()
