"""Sliding event-time windows: the highest level of the last ten minutes, every five minutes."""

from millpond.common import Duration, Types, WatermarkStrategy
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import ProcessWindowFunction, StreamExecutionEnvironment
from millpond.datastream.window import SlidingEventTimeWindows

# Gauge, minute, level in cm.
LEVELS = [
    ("bridge", 1, 210),
    ("bridge", 4, 214),
    ("lock", 6, 90),
    ("bridge", 7, 221),
    ("bridge", 12, 219),
    ("lock", 13, 95),
    ("bridge", 21, 205),
]


class MinuteOfLevel(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 60_000


class Highest(ProcessWindowFunction):
    def process(self, key, context: ProcessWindowFunction.Context, elements):
        window = context.window()
        highest = max(level for _, _, level in elements)
        yield key, window.start // 60_000, window.end // 60_000, highest


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(
        Duration.of_minutes(1)
    ).with_timestamp_assigner(MinuteOfLevel())

    levels = env.from_collection(
        LEVELS, Types.TUPLE([Types.STRING(), Types.INT(), Types.INT()])
    ).assign_timestamps_and_watermarks(strategy)
    levels.key_by(lambda level: level[0], key_type=Types.STRING()).window(
        SlidingEventTimeWindows.of(Time.minutes(10), Time.minutes(5))
    ).process(
        Highest(), Types.TUPLE([Types.STRING(), Types.LONG(), Types.LONG(), Types.INT()])
    ).print()
    env.execute("sliding windows")


if __name__ == "__main__":
    main()
