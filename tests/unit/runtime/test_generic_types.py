"""`pipeline.generic-types: false` lets nothing be pickled into state."""

from __future__ import annotations

import dataclasses

import pytest

from millpond.common import Configuration, Time, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.functions import (
    AggregateFunction,
    CheckpointedFunction,
    KeyedProcessFunction,
    MapFunction,
    ProcessWindowFunction,
)
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import (
    CountTrigger,
    CountTumblingWindowAssigner,
    TumblingProcessingTimeWindows,
)
from millpond.errors import InvalidProgramError
from millpond.operators.user_function import UserFunctionOperator

LONG, STRING = Types.LONG(), Types.STRING()


@dataclasses.dataclass
class Sum:
    total: int = 0


class Summing(AggregateFunction):
    def create_accumulator(self):
        return Sum()

    def add(self, value, accumulator):
        return Sum(accumulator.total + value)

    def get_result(self, accumulator):
        return accumulator.total

    def merge(self, a, b):
        return Sum(a.total + b.total)


class Remembering(KeyedProcessFunction):
    def __init__(self, make_descriptor):
        self._make_descriptor = make_descriptor

    def open(self, runtime_context):
        descriptor = self._make_descriptor()
        if isinstance(descriptor, MapStateDescriptor):
            self._state = runtime_context.get_map_state(descriptor)
        else:
            self._state = runtime_context.get_state(descriptor)

    def process_element(self, value, ctx):
        raise AssertionError("No record may be processed.")


class Declared(KeyedProcessFunction):
    def __init__(self):
        self.descriptor = ValueStateDescriptor("seen", None)

    def process_element(self, value, ctx):
        yield value


class OfClass(Declared):
    descriptor = MapStateDescriptor("of class", STRING, None)

    def __init__(self):
        pass


class Listed(Declared):
    def __init__(self):
        self.descriptors = {"all": [ValueStateDescriptor("listed", None)]}


GLOBAL = ValueStateDescriptor("global", None)


class Named(Declared):
    def __init__(self):
        pass

    def open(self, runtime_context):
        runtime_context.get_state(GLOBAL)


class Early(CountTrigger):
    def __init__(self):
        super().__init__(3)
        self.descriptor = ValueStateDescriptor("of trigger", None)


class Buffering(MapFunction, CheckpointedFunction):
    def __init__(self, type_info):
        self._type_info = type_info

    def initialize_state(self, context):
        store = context.get_operator_state_store()
        self._state = store.get_list_state(ListStateDescriptor("buffer", self._type_info))
        store.get_union_list_state(ListStateDescriptor("all", LONG))
        store.get_broadcast_state(MapStateDescriptor("rules", LONG, self._type_info))

    def snapshot_state(self, context):
        pass

    def map(self, value):
        return value


class InWindow(ProcessWindowFunction):
    def process(self, key, context, elements):
        context.window_state().get_state(ValueStateDescriptor("in window", None))
        yield key


@pytest.fixture
def env():
    configuration = Configuration()
    configuration.set_string("pipeline.generic-types", "false")
    return StreamExecutionEnvironment.get_execution_environment(configuration)


def numbers(env, type_info=LONG):
    return env.from_collection([1, 2, 3], type_info)


def keyed(env):
    return numbers(env).key_by(lambda value: value % 2, LONG)


def windowed(env, stream=None):
    stream = stream if stream is not None else keyed(env)
    return stream.window(TumblingProcessingTimeWindows.of(Time.hours(1)))


def run(stream):
    return list(stream.execute_and_collect())


def test_typed_programs_run(env):
    summed = keyed(env).reduce(lambda a, b: a + b)
    assert run(summed) == [1, 2, 4]
    counted = keyed(env).window(CountTumblingWindowAssigner(1))
    assert sorted(run(counted.aggregate(Summing(), accumulator_type=Types.TYPED(Sum)))) == [1, 2, 3]
    buffered = numbers(env).map(Buffering(LONG), LONG)
    assert run(buffered) == [1, 2, 3]


def test_one_key_for_all_windows_is_no_users_type(env):
    stream = numbers(env).window_all(CountTumblingWindowAssigner(3)).reduce(lambda a, b: a + b)
    assert run(stream) == [6]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda env: numbers(env).key_by(abs).sum(), ["keys", "key_type"]),
        (lambda env: numbers(env, None).key_by(abs, LONG).sum(), ["rolling reduce"]),
        (lambda env: numbers(env, None).key_by(abs, LONG).reduce(max), ["rolling reduce"]),
        (lambda env: windowed(env, numbers(env, None).key_by(abs, LONG)).reduce(max), ["records"]),
        (lambda env: windowed(env).aggregate(Summing()), ["accumulators", "accumulator_type"]),
        (
            lambda env: keyed(env).process(Declared()),
            ["state: seen", "PICKLED", "operator: KEYED PROCESS"],
        ),
        (lambda env: keyed(env).process(OfClass()), ["state: of class"]),
        (lambda env: keyed(env).process(Listed()), ["state: listed"]),
        (lambda env: keyed(env).process(Named()), ["state: global"]),
        (lambda env: windowed(env).trigger(Early()).reduce(max), ["state: of trigger"]),
    ],
)
def test_refused_when_the_graph_is_made(env, make, words, monkeypatch):
    stream = make(env)
    monkeypatch.setattr(UserFunctionOperator, "open", None)  # no operator is opened
    with pytest.raises(InvalidProgramError, match=r"pipeline\.generic-types: false") as caught:
        run(stream)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "make_descriptor",
    [
        lambda: ValueStateDescriptor("state", None),
        lambda: ValueStateDescriptor("state", Types.LIST(Types.PICKLED_BYTE_ARRAY())),
        lambda: MapStateDescriptor("state", None, LONG),
        lambda: MapStateDescriptor("state", STRING, None),
    ],
)
def test_state_registered_in_open_is_refused_before_the_first_record(env, make_descriptor):
    stream = keyed(env).process(Remembering(make_descriptor))
    with pytest.raises(InvalidProgramError, match="PICKLED") as caught:
        run(stream)
    assert caught.value.context == {"state": "state", "operator": "KEYED PROCESS"}


def test_operator_state_is_refused(env):
    with pytest.raises(InvalidProgramError, match="PICKLED"):
        run(numbers(env).map(Buffering(None), LONG))


def test_state_of_windows_is_refused(env):
    windows = keyed(env).window(CountTumblingWindowAssigner(1))
    with pytest.raises(InvalidProgramError, match="state: in window"):
        run(windows.process(InWindow(), LONG))
