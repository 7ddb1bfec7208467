"""Basic operations: map, filter, key by, union, side outputs and projection, one job after another.

A stream may be used by several jobs: each `execute` runs what was added since the last one.
"""

from millpond.common import Row, Types
from millpond.datastream import OutputTag, ProcessFunction, StreamExecutionEnvironment

TRIPS = [
    Row("ferry", "Ulm", 12),
    Row("ferry", "Bonn", 30),
    Row("tram", "Ulm", 55),
    Row("ferry", "Ulm", 8),
]
LONG_TRIPS = OutputTag("long", Types.STRING())


class Sort(ProcessFunction):
    def process_element(self, value, ctx):
        if value.guests > 20:
            yield LONG_TRIPS, f"{value.kind} to {value.town}: {value.guests} guests"
        else:
            yield value


def show(env, title, stream):
    print(title)
    stream.print()
    env.execute(title)


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    row_type = Types.ROW_NAMED(
        ["kind", "town", "guests"], [Types.STRING(), Types.STRING(), Types.INT()]
    )
    trips = env.from_collection(TRIPS, row_type)

    show(env, "rows", trips)
    show(env, "map", trips.map(lambda trip: trip.town.upper(), Types.STRING()))
    show(env, "map without a type", trips.map(lambda trip: (trip.town, trip.guests)))
    show(env, "filter", trips.filter(lambda trip: trip.kind == "tram"))
    show(env, "project", trips.project(2, 0))
    show(env, "rolling sum", trips.key_by(lambda trip: trip.town).sum("guests"))
    show(env, "union", trips.filter(lambda trip: trip.guests < 10).union(trips.project(0, 1, 2)))
    show(env, "side output", trips.process(Sort(), row_type).get_side_output(LONG_TRIPS))


if __name__ == "__main__":
    main()
