"""Broadcast state: limits from one stream are applied to every reading of another one.

The two streams may arrive in any order. An event-time timer makes each reading wait until both
have passed its time, and the limit that was valid then is the one that counts.
"""

from millpond.common import Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import KeyedBroadcastProcessFunction, StreamExecutionEnvironment
from millpond.datastream.state import ListStateDescriptor, MapStateDescriptor

# Time in ms, sensor, degrees.
READINGS = [
    (1_000, "oven", 180),
    (2_000, "fridge", 9),
    (3_000, "oven", 230),
    (6_000, "oven", 230),
    (7_000, "fridge", 9),
]
# Valid from (ms), sensor, highest degrees.
LIMITS = [(0, "oven", 200), (0, "fridge", 8), (5_000, "oven", 250)]

LIMITS_STATE = MapStateDescriptor("limits", Types.PICKLED_BYTE_ARRAY(), Types.INT())


class FirstField(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[0]


class Watch(KeyedBroadcastProcessFunction):
    def open(self, runtime_context):
        self.waiting = runtime_context.get_list_state(
            ListStateDescriptor("waiting", Types.TUPLE([Types.LONG(), Types.INT()]))
        )

    def process_broadcast_element(self, value, ctx: KeyedBroadcastProcessFunction.Context):
        valid_from_ms, sensor, highest = value
        ctx.get_broadcast_state(LIMITS_STATE).put((sensor, valid_from_ms), highest)

    def process_element(self, value, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext):
        time_ms, _, degrees = value
        self.waiting.add((time_ms, degrees))
        ctx.timer_service().register_event_time_timer(time_ms)

    def on_timer(self, timestamp, ctx: KeyedBroadcastProcessFunction.OnTimerContext):
        sensor = ctx.get_current_key()
        limits = ctx.get_broadcast_state(LIMITS_STATE)
        valid = [
            (since_ms, highest)
            for (name, since_ms), highest in limits.items()
            if name == sensor and since_ms <= timestamp
        ]
        highest = max(valid)[1]
        waiting = list(self.waiting.get())
        self.waiting.update([reading for reading in waiting if reading[0] > timestamp])
        for time_ms, degrees in waiting:
            if time_ms <= timestamp and degrees > highest:
                yield f"{time_ms} ms: {sensor} at {degrees}, limit {highest}"


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)

    row = Types.TUPLE([Types.LONG(), Types.STRING(), Types.INT()])
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(FirstField())
    readings = env.from_collection(READINGS, row).assign_timestamps_and_watermarks(strategy)
    limits = env.from_collection(LIMITS, row).assign_timestamps_and_watermarks(strategy)

    readings.key_by(lambda reading: reading[1], key_type=Types.STRING()).connect(
        limits.broadcast(LIMITS_STATE)
    ).process(Watch(), output_type=Types.STRING()).print()
    env.execute("broadcast rules")


if __name__ == "__main__":
    main()
