"""Savepoints: stop a job halfway, and let the same program go on from where it was."""

import tempfile

from millpond.common import Configuration, Types, WatermarkStrategy
from millpond.datastream import RocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.connectors.number_seq import NumberSequenceSource

LAST = 2_000_000


def environment(directory, savepoint=None):
    """The program: sums of the numbers up to LAST by their last digit."""
    configuration = Configuration()
    if savepoint is not None:
        configuration.set_string("execution.state-recovery.path", savepoint)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    env.set_state_backend(RocksDBStateBackend(f"file://{directory}/checkpoints"))

    row = Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG()])
    numbers = env.from_source(
        NumberSequenceSource(1, LAST), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    )
    sums = (
        numbers.uid("numbers")
        .map(lambda number: (number % 10, number, 1), row)
        .key_by(lambda row: row[0], Types.LONG())
        .reduce(lambda a, b: (a[0], a[1] + b[1], a[2] + b[2]))
        .uid("sums")
    )
    sums.filter(lambda row: row[2] == LAST // 10).print()
    return env


def main():
    with tempfile.TemporaryDirectory() as directory:
        client = environment(directory).execute_async("sums")
        savepoint = client.stop_with_savepoint(False, f"file://{directory}/savepoints").result()
        client.get_job_execution_result().result()
        print(f"stopped: {client.get_job_status().result().name}")

        environment(directory, savepoint).execute("sums")


if __name__ == "__main__":
    main()
