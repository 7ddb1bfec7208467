"""Count windows: a result for every three records of a key, and for the last three, every two."""

from millpond.common import Types
from millpond.datastream import StreamExecutionEnvironment, WindowFunction
from millpond.datastream.window import CountWindow

THROWS = [("red", 3), ("blue", 6), ("red", 1), ("red", 5), ("blue", 2), ("red", 4), ("red", 6)]


class Total(WindowFunction):
    def apply(self, key, window: CountWindow, inputs):
        points = [points for _, points in inputs]
        yield key, sum(points), len(points)


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    result_type = Types.TUPLE([Types.STRING(), Types.INT(), Types.INT()])

    throws = env.from_collection(THROWS, Types.TUPLE([Types.STRING(), Types.INT()])).key_by(
        lambda throw: throw[0], key_type=Types.STRING()
    )
    throws.count_window(3).apply(Total(), result_type).print("three")
    throws.count_window(3, 2).apply(Total(), result_type).print("last three")
    env.execute("count windows")


if __name__ == "__main__":
    main()
