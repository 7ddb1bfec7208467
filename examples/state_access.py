"""Value, list and map state of a keyed process function: a meter reader's notebook."""

from millpond.common import Types
from millpond.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)

# Each is meter, weekday, litres.
READINGS = [
    ("north", "mon", 120),
    ("south", "mon", 80),
    ("north", "tue", 150),
    ("north", "mon", 30),
    ("south", "wed", 95),
    ("north", "wed", 110),
]


class Notebook(KeyedProcessFunction):
    """Keeps, for each meter, its total, its last two readings, and litres a weekday."""

    def open(self, runtime_context: RuntimeContext):
        self.total = runtime_context.get_state(ValueStateDescriptor("total", Types.LONG()))
        self.latest = runtime_context.get_list_state(ListStateDescriptor("latest", Types.LONG()))
        self.by_day = runtime_context.get_map_state(
            MapStateDescriptor("by-day", Types.STRING(), Types.LONG())
        )

    def process_element(self, value, ctx: KeyedProcessFunction.Context):
        meter, day, litres = value

        total = (self.total.value() or 0) + litres
        self.total.update(total)

        self.latest.add(litres)
        kept = list(self.latest.get())[-2:]
        self.latest.update(kept)

        self.by_day.put(day, (self.by_day.get(day) or 0) + litres)
        busiest = max(self.by_day.items(), key=lambda entry: entry[1])

        yield f"{meter}: total {total}, latest {kept}, busiest {busiest[0]} with {busiest[1]}"


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)

    readings = env.from_collection(
        READINGS, type_info=Types.TUPLE([Types.STRING(), Types.STRING(), Types.LONG()])
    )
    readings.key_by(lambda reading: reading[0], key_type=Types.STRING()).process(
        Notebook(), output_type=Types.STRING()
    ).print()
    env.execute("state access")


if __name__ == "__main__":
    main()
