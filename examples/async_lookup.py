"""Asynchronous calls: three questions are under way at a time, and some need a second try.

As in Flink, nothing is tried again after the end of the input.
"""

import asyncio

from millpond.common import Time, Types
from millpond.datastream import AsyncDataStream, AsyncFunction, StreamExecutionEnvironment
from millpond.datastream.async_retry_strategies import AsyncRetryStrategy

TOWNS = {"Ulm": 126, "Bonn": 331, "Jena": 110}


class Population(AsyncFunction):
    """Asks a service that is slow, and busy at the first question."""

    def open(self, runtime_context):
        self.asked = set()

    async def async_invoke(self, value):
        await asyncio.sleep(0.01)
        if value not in self.asked:
            self.asked.add(value)
            raise ConnectionError("busy")
        return [(value, TOWNS[value])]

    def timeout(self, value):
        return [(value, -1)]


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    towns = env.from_collection(["Bonn", "Ulm", "Jena"] * 3, Types.STRING())
    retry = AsyncRetryStrategy.fixed_delay(
        3, 10, None, lambda error: isinstance(error, ConnectionError)
    )
    AsyncDataStream.ordered_wait_with_retry(
        towns,
        Population(),
        Time.seconds(5),
        retry,
        capacity=3,
        output_type=Types.TUPLE([Types.STRING(), Types.INT()]),
    ).print()
    env.execute("asynchronous calls")


if __name__ == "__main__":
    main()
