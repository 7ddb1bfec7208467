"""Joins: orders and payments of the same minute, and payments within two minutes of their order."""

from millpond.common import Time, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import ProcessJoinFunction, StreamExecutionEnvironment
from millpond.datastream.window import TumblingEventTimeWindows

ROW = Types.TUPLE([Types.STRING(), Types.INT(), Types.INT()])
# Customer, second, cents.
ORDERS = [("ann", 5, 300), ("ben", 20, 450), ("ann", 70, 120)]
PAYMENTS = [("ann", 8, 300), ("ben", 95, 450), ("ann", 110, 120)]


class Second(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 1000


class Paid(ProcessJoinFunction):
    def process_element(self, left, right, ctx: ProcessJoinFunction.Context):
        if left[2] == right[2]:
            seconds = (ctx.get_right_timestamp() - ctx.get_left_timestamp()) // 1000
            yield f"{left[0]} paid {left[2]} after {seconds} s"


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(Second())
    orders, payments = (
        env.from_collection(rows, ROW).assign_timestamps_and_watermarks(strategy)
        for rows in (ORDERS, PAYMENTS)
    )

    orders.join(payments).where(lambda order: order[0], Types.STRING()).equal_to(
        lambda payment: payment[0]
    ).window(TumblingEventTimeWindows.of(Time.minutes(1))).apply(
        lambda order, payment: f"{order[0]} in the same minute: {order[2]}, {payment[2]}",
        Types.STRING(),
    ).print("window")
    orders.key_by(lambda order: order[0], Types.STRING()).interval_join(
        payments.key_by(lambda payment: payment[0], Types.STRING())
    ).between(Time.seconds(0), Time.minutes(2)).process(Paid(), Types.STRING()).print("interval")
    env.execute("joins")


if __name__ == "__main__":
    main()
