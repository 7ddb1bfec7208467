"""Tumbling event-time windows: five-second counts, with the late record in a side output."""

from millpond.common import Configuration, Types, WatermarkStrategy
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import OutputTag, ProcessWindowFunction, StreamExecutionEnvironment
from millpond.datastream.window import TimeWindow, TumblingEventTimeWindows

# Page and time in s; the last one comes when its window is over.
VIEWS = [
    ("home", 1),
    ("home", 2),
    ("docs", 3),
    ("home", 4),
    ("home", 6),
    ("docs", 8),
    ("home", 3),
]


class ViewTime(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 1000


class Count(ProcessWindowFunction):
    def process(self, key, context: ProcessWindowFunction.Context, elements):
        window: TimeWindow = context.window()
        yield key, window.start, window.end, len(list(elements))

    def clear(self, context):
        pass


def main():
    configuration = Configuration()
    # Watermarks follow batches. Here every record is one, so that time moves between them.
    configuration.set_integer("millpond.batch-size", 1)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)

    late = OutputTag("late", Types.TUPLE([Types.STRING(), Types.INT()]))
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(ViewTime())

    counts = (
        env.from_collection(VIEWS, Types.TUPLE([Types.STRING(), Types.INT()]))
        .assign_timestamps_and_watermarks(strategy)
        .key_by(lambda view: view[0], key_type=Types.STRING())
        .window(TumblingEventTimeWindows.of(Time.seconds(5)))
        .side_output_late_data(late)
        .process(
            Count(),
            Types.TUPLE([Types.STRING(), Types.LONG(), Types.LONG(), Types.INT()]),
        )
    )
    counts.print()
    counts.get_side_output(late).print("late")
    env.execute("tumbling windows")


if __name__ == "__main__":
    main()
