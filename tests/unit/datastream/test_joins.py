"""Joins as a program writes them: what is refused, side outputs, evictors, errors, no rows left."""

import pytest

from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.datastream import OutputTag, StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.source import Source
from millpond.datastream.functions import (
    CoGroupFunction,
    FlatJoinFunction,
    JoinFunction,
    KeySelector,
    ProcessJoinFunction,
)
from millpond.datastream.window import (
    CountEvictor,
    CountTrigger,
    EventTimeSessionWindows,
    PurgingTrigger,
    TumblingEventTimeWindows,
)
from millpond.errors import InvalidProgramError, UnsupportedOperationError

WINDOWS = TumblingEventTimeWindows.of(Time.milliseconds(10))
ROWS = Types.TUPLE([Types.STRING(), Types.INT()])


class First(KeySelector):
    def get_key(self, value):
        return value[0]


class Unknown(Source):
    """May have timestamps, for all that is known before it is read."""

    def splits(self, parallelism):
        return CollectionSource([("a", 1)]).splits(parallelism)

    def open_split(self, split, position, clock):
        return CollectionSource([("a", 1)]).open_split(split, position, clock)


class Pair(ProcessJoinFunction):
    def process_element(self, left, right, ctx):
        yield (left, right)


@pytest.fixture
def env():
    return StreamExecutionEnvironment.get_execution_environment()


@pytest.fixture
def stream(env):
    def make(*rows, type_info=ROWS):
        source = CollectionSource([row[:2] for row in rows], [row[2] for row in rows])
        strategy = WatermarkStrategy.for_monotonous_timestamps()
        return env.from_source(source, strategy, "rows", type_info)

    return make


@pytest.fixture
def orders(stream):
    return stream(("a", 1, 1), ("b", 2, 3), ("a", 3, 12))


@pytest.fixture
def payments(stream):
    return stream(("a", 10, 2), ("a", 20, 8), ("c", 30, 9))


def keyed(stream, key_type=None):
    return stream.key_by(First(), key_type or Types.STRING())


def test_join_with_a_function_object_and_with_a_lambda(orders, payments):
    class Sum(JoinFunction):
        def open(self, runtime_context):
            self.opened = runtime_context.get_task_name()

        def join(self, first, second):
            return (self.opened, first[1] + second[1])

    both = orders.join(payments).where(First()).equal_to(First()).window(WINDOWS)
    name = "TumblingEventTimeWindows, Join"
    plain = both.apply(lambda first, second: first[1] + second[1], Types.INT())
    results = sorted(both.apply(Sum()).union(plain.map(lambda n: (name, n))).execute_and_collect())
    assert results == [(name, 11), (name, 11), (name, 21), (name, 21)]


def test_flat_join_may_give_several_results_and_side_outputs(orders, payments):
    tag = OutputTag("large", Types.INT())

    class Split(FlatJoinFunction):
        def join(self, first, second):
            if second[1] > 10:
                yield tag, second[1]
            else:
                yield first
                yield second

    joined = orders.join(payments).where(First()).equal_to(First()).window(WINDOWS).apply(Split())
    large = joined.get_side_output(tag).map(lambda number: ("large", number))
    assert sorted(joined.union(large).execute_and_collect()) == [
        ("a", 1),
        ("a", 10),
        ("large", 20),
    ]


def test_co_group_sees_both_sides_of_every_window(orders, payments):
    class Outer(CoGroupFunction):
        def co_group(self, first, second):
            yield sorted(row[1] for row in first), sorted(row[1] for row in second)

    grouped = (
        orders.co_group(payments)
        .where(lambda row: row[0], Types.STRING())
        .equal_to(lambda row: row[0], Types.STRING())
        .window(WINDOWS)
        .apply(Outer())
    )
    assert sorted(grouped.execute_and_collect()) == [
        ([], [30]),
        ([1], [10, 20]),
        ([2], []),
        ([3], []),
    ]


def test_trigger_evictor_and_lateness(env, stream):
    env.get_config().set_parallelism(1)
    numbers = stream(*((("a", number, number)) for number in range(6)))
    nothing = stream(("z", 0, 0))
    grouped = (
        numbers.co_group(nothing)
        .where(First())
        .equal_to(First())
        .window(WINDOWS)
        .trigger(PurgingTrigger.of(CountTrigger.of(3)))
        .evictor(CountEvictor.of(2))
        .allowed_lateness(Time.milliseconds(5))
        .apply(lambda first, second: [[row[1] for row in first]])
    )
    assert list(grouped.execute_and_collect()) == [[1, 2], [4, 5]]


def test_errors_name_the_users_function(orders, payments):
    class Broken(JoinFunction):
        def join(self, first, second):
            raise KeyError(first[1])

    joined = orders.join(payments).where(First()).equal_to(First()).window(WINDOWS).apply(Broken())
    joined.name("joined")
    with pytest.raises(KeyError) as caught:
        list(joined.execute_and_collect())
    (note,) = caught.value.__notes__
    assert note == (
        "Raised in Broken.join [operator: joined, subtask: 1/1, window: TimeWindow(start=0, "
        "end=10), key: 'a']"
    )


def test_what_cannot_be_joined_is_refused_at_once(orders, payments):
    with pytest.raises(InvalidProgramError, match=r"5 is no DataStream"):
        orders.join(5)
    with pytest.raises(InvalidProgramError, match=r"where needs a KeySelector or a callable"):
        orders.join(payments).where("key")
    with pytest.raises(InvalidProgramError, match=r"The keys of the two inputs differ"):
        orders.join(payments).where(First(), Types.STRING()).equal_to(First(), Types.INT())
    pair = orders.join(payments).where(First()).equal_to(First())
    with pytest.raises(InvalidProgramError, match=r"window needs a WindowAssigner, not 'soon'"):
        pair.window("soon").apply(lambda a, b: a)
    with pytest.raises(InvalidProgramError, match=r"apply needs a JoinFunction or a callable"):
        pair.window(WINDOWS).apply(5)
    with pytest.raises(InvalidProgramError, match=r"allowed lateness -1 ms is negative"):
        pair.window(WINDOWS).allowed_lateness(-1).apply(lambda a, b: a)
    sessions = pair.window(EventTimeSessionWindows.with_gap(Time.milliseconds(5)))
    with pytest.raises(InvalidProgramError, match="cannot merge"):
        sessions.trigger(Unmergeable()).apply(lambda a, b: a)


class Unmergeable(CountTrigger):
    def __init__(self):
        super().__init__(3)

    def can_merge(self):
        return False


def test_interval_join_bounds_and_timestamps(orders, payments):
    class Times(ProcessJoinFunction):
        def process_element(self, left, right, ctx):
            yield (left[1], right[1], ctx.get_left_timestamp(), ctx.get_right_timestamp())

    left, right = keyed(orders), keyed(payments)
    closed = left.interval_join(right).between(Time.milliseconds(-4), Time.milliseconds(1))
    assert sorted(closed.process(Times()).execute_and_collect()) == [(1, 10, 1, 2), (3, 20, 12, 8)]
    left, right = keyed(orders), keyed(payments)
    half = left.interval_join(right).in_event_time().between(-4, 1).upper_bound_exclusive()
    assert list(half.process(Times()).execute_and_collect()) == [(3, 20, 12, 8)]
    half.lower_bound_exclusive()
    left.interval_join(right).between(-4, 1).lower_bound_exclusive()
    assert list(half.process(Times()).execute_and_collect()) == []


def test_interval_join_refuses_what_cannot_be(orders, payments, env):
    left, right = keyed(orders), keyed(payments)
    with pytest.raises(InvalidProgramError, match="needs a keyed stream"):
        left.interval_join(payments)
    with pytest.raises(UnsupportedOperationError, match="only there in event time"):
        left.interval_join(right).in_processing_time()
    with pytest.raises(InvalidProgramError, match="interval from 2 ms to 1 ms is empty"):
        left.interval_join(right).between(2, 1)
    with pytest.raises(InvalidProgramError, match="interval from 3 ms to 2 ms is empty"):
        left.interval_join(right).between(2, 2).lower_bound_exclusive().process(Pair())
    with pytest.raises(InvalidProgramError, match="needs a ProcessJoinFunction"):
        left.interval_join(right).between(1, 2).process(lambda a, b: a)
    with pytest.raises(InvalidProgramError, match="Late data needs an OutputTag"):
        left.interval_join(right).between(1, 2).side_output_left_late_data("late")
    with pytest.raises(InvalidProgramError, match="The keys of the two inputs differ"):
        left.interval_join(keyed(payments, Types.INT())).between(1, 2).process(Pair())


def test_interval_join_of_records_without_timestamps(env):
    one = keyed(env.from_collection([("a", 1)], ROWS))
    message = "An interval join needs timestamps, and the records of 'Collection Source' have none"
    with pytest.raises(InvalidProgramError, match=message):
        one.interval_join(one).between(0, 1).process(Pair())
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    maybe = keyed(env.from_source(Unknown(), strategy, "unknown", ROWS))
    joined = maybe.interval_join(maybe).between(0, 1).process(Pair())
    with pytest.raises(InvalidProgramError, match="left input of an interval join have no time"):
        list(joined.execute_and_collect())


def test_interval_join_sends_late_data_aside():
    configuration = Configuration()
    configuration.set_string("millpond.batch-size", "1")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    late = OutputTag("late", ROWS)
    rows = [("a", 1, 50), ("a", 2, 10)]
    strategy = WatermarkStrategy.for_monotonous_timestamps()

    def source(rows):
        values, times = [row[:2] for row in rows], [row[2] for row in rows]
        return env.from_source(CollectionSource(values, times), strategy, "rows", ROWS)

    joined = (
        keyed(source(rows))
        .interval_join(keyed(source(rows[:1] * 2)))
        .between(0, 5)
        .side_output_left_late_data(late)
        .process(Pair())
    )
    aside = joined.get_side_output(late).map(lambda row: ("late", row))
    pair = (("a", 1), ("a", 1))
    results = list(joined.union(aside).execute_and_collect())
    assert sorted(results, key=str) == [("late", ("a", 2)), pair, pair]
