"""Session windows: visits that end after five seconds without a click, summed by a reduce."""

from millpond.common import Types, WatermarkStrategy
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import ProcessWindowFunction, StreamExecutionEnvironment
from millpond.datastream.window import EventTimeSessionWindows

# Visitor, time in s, clicks; the click at 8 s joins what were two sessions of ann.
CLICKS = [
    ("ann", 1, 1),
    ("ben", 2, 1),
    ("ann", 4, 2),
    ("ann", 12, 1),
    ("ann", 8, 3),
    ("ben", 20, 1),
]


class ClickTime(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 1000


class Visit(ProcessWindowFunction):
    """Gets the one reduced value of each session."""

    def process(self, key, context: ProcessWindowFunction.Context, elements):
        (clicks,) = elements
        window = context.window()
        yield f"{key} visited from {window.start} to {window.end} ms: {clicks[2]} clicks"

    def clear(self, context):
        pass


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)

    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(ClickTime())
    clicks = env.from_collection(
        CLICKS, Types.TUPLE([Types.STRING(), Types.INT(), Types.INT()])
    ).assign_timestamps_and_watermarks(strategy)

    clicks.key_by(lambda click: click[0], key_type=Types.STRING()).window(
        EventTimeSessionWindows.with_gap(Time.seconds(5))
    ).reduce(
        lambda a, b: (a[0], min(a[1], b[1]), a[2] + b[2]),
        window_function=Visit(),
        output_type=Types.STRING(),
    ).print()
    env.execute("session windows")


if __name__ == "__main__":
    main()
