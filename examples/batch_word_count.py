"""Word count in BATCH mode: the input ends, so only final counts are given, key after key."""

from millpond.common import Types
from millpond.datastream import RuntimeExecutionMode, StreamExecutionEnvironment

LINES = [
    "the mill turns while the water runs",
    "the water runs while it rains",
]


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_runtime_mode(RuntimeExecutionMode.BATCH)
    env.set_parallelism(1)

    counts = (
        env.from_collection(LINES, Types.STRING())
        .flat_map(str.split, Types.STRING())
        .map(lambda word: (word, 1), Types.TUPLE([Types.STRING(), Types.INT()]))
        .key_by(lambda pair: pair[0], Types.STRING())
        .reduce(lambda a, b: (a[0], a[1] + b[1]))
    )
    counts.print()
    env.execute("batch word count")


if __name__ == "__main__":
    main()
