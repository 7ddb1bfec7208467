"""Event-time timers: report a sensor that has been silent for ten seconds of event time."""

from millpond.common import Configuration, Duration, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from millpond.datastream.state import ValueStateDescriptor

SILENCE_MS = 10_000

# Sensor and time in ms; the fourth one is out of order.
SIGNALS = [
    ("gate", 1_000),
    ("pump", 2_000),
    ("gate", 9_000),
    ("gate", 7_000),
    ("pump", 8_000),
    ("gate", 16_000),
    ("gate", 25_000),
    ("pump", 31_000),
]


class SignalTime(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1]


class Watchman(KeyedProcessFunction):
    """Every signal moves its sensor's alarm; an alarm that is reached goes off."""

    def open(self, runtime_context: RuntimeContext):
        self.alarm = runtime_context.get_state(ValueStateDescriptor("alarm", Types.LONG()))

    def process_element(self, value, ctx: KeyedProcessFunction.Context):
        alarm_ms = ctx.timestamp() + SILENCE_MS
        set_before_ms = self.alarm.value()
        if set_before_ms is not None:
            if set_before_ms >= alarm_ms:
                return
            ctx.timer_service().delete_event_time_timer(set_before_ms)
        self.alarm.update(alarm_ms)
        ctx.timer_service().register_event_time_timer(alarm_ms)

    def on_timer(self, timestamp, ctx: KeyedProcessFunction.OnTimerContext):
        self.alarm.clear()
        yield f"{ctx.get_current_key()} silent since {timestamp - SILENCE_MS} ms"


def main():
    configuration = Configuration()
    # Watermarks follow batches. Here every record is one, so that time moves between them.
    configuration.set_integer("millpond.batch-size", 1)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)

    strategy = WatermarkStrategy.for_bounded_out_of_orderness(
        Duration.of_seconds(2)
    ).with_timestamp_assigner(SignalTime())

    signals = env.from_collection(SIGNALS, Types.TUPLE([Types.STRING(), Types.LONG()]))
    signals.assign_timestamps_and_watermarks(strategy).key_by(
        lambda signal: signal[0], key_type=Types.STRING()
    ).process(Watchman(), output_type=Types.STRING()).print()
    env.execute("event-time timers")


if __name__ == "__main__":
    main()
