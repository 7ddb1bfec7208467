"""The user's functions, their wrappers, retry strategies and output tags."""

from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream import functions
from millpond.datastream.async_retry_strategies import (
    AsyncRetryStrategy,
    ExponentialBackoffDelayRetryStrategy,
    FixedDelayRetryStrategy,
)
from millpond.datastream.functions import (
    AsyncFunction,
    FilterFunctionWrapper,
    FlatMapFunctionWrapper,
    KeyedProcessFunction,
    KeySelectorFunctionWrapper,
    MapFunctionWrapper,
    NullByteKeySelector,
    PartitionerFunctionWrapper,
    PassThroughAllWindowFunction,
    PassThroughWindowFunction,
    ProcessWindowFunction,
    ReduceFunctionWrapper,
    WindowFunction,
)
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.time_characteristic import TimeCharacteristic
from millpond.datastream.time_domain import TimeDomain
from millpond.datastream.timerservice import TimerService
from millpond.datastream.window import TimeWindow
from millpond.errors import ConfigurationError, InvalidProgramError


def test_only_what_computes_must_be_written():
    class Minimal(KeyedProcessFunction):
        def process_element(self, value, ctx):
            yield value

    function = Minimal()
    function.open(None)
    assert list(function.process_element(1, None)) == [1]
    assert function.on_timer(5, None) is None
    function.close()
    with pytest.raises(TypeError):
        KeyedProcessFunction()
    with pytest.raises(TypeError):
        TimerService()


def test_window_functions_take_type_parameters():
    class Typed(ProcessWindowFunction[tuple, tuple, str, TimeWindow]):
        def process(
            self, key: str, context: ProcessWindowFunction.Context[TimeWindow], elements
        ) -> list:
            return list(elements)

    assert Typed().process("k", None, (1, 2)) == [1, 2]
    assert Typed().clear(None) is None
    assert issubclass(WindowFunction[int, int, str, TimeWindow].__origin__, WindowFunction)
    assert PassThroughWindowFunction().apply("k", TimeWindow(0, 1), [3]) == [3]
    assert PassThroughAllWindowFunction().apply(TimeWindow(0, 1), [3]) == [3]


def test_wrappers_call():
    assert MapFunctionWrapper(str).map(5) == "5"
    assert list(FlatMapFunctionWrapper(range).flat_map(3)) == [0, 1, 2]
    assert FilterFunctionWrapper(len).filter("x") is True
    assert ReduceFunctionWrapper(max).reduce(1, 2) == 2
    assert KeySelectorFunctionWrapper(len).get_key("xyz") == 3
    assert PartitionerFunctionWrapper(lambda key, count: key % count).partition(7, 4) == 3
    assert "len" in repr(KeySelectorFunctionWrapper(len))
    assert NullByteKeySelector().get_key("anything") == 0


def test_all_names_exist():
    assert len(set(functions.__all__)) == len(functions.__all__)
    assert all(hasattr(functions, name) for name in functions.__all__)


def test_output_tags_are_equal_by_id():
    tag = OutputTag("late", Types.STRING())
    assert tag == OutputTag("late")
    assert len({tag, OutputTag("late"), OutputTag("other")}) == 2
    assert tag != "late"
    assert tag.type_info == Types.STRING()
    assert OutputTag("row", [Types.STRING()]).type_info == Types.ROW([Types.STRING()])
    for bad in ("", None, 5):
        with pytest.raises(InvalidProgramError, match="id of an output tag"):
            OutputTag(bad)


def test_enums_have_flinks_members():
    assert [member.name for member in TimeDomain] == ["EVENT_TIME", "PROCESSING_TIME"]
    assert [member.name for member in TimeCharacteristic] == [
        "ProcessingTime",
        "IngestionTime",
        "EventTime",
    ]


def test_retry_strategies():
    none = AsyncRetryStrategy.no_restart()
    assert not none.can_retry(1)
    assert none.get_backoff_time_millis(1) == -1
    assert none.get_retry_predicate().result_predicate() is None

    fixed = AsyncRetryStrategy.fixed_delay(2, 100, bool, None)
    assert isinstance(fixed, FixedDelayRetryStrategy)
    assert [fixed.can_retry(attempts) for attempts in (1, 2, 3)] == [True, True, False]
    assert fixed.get_backoff_time_millis(2) == 100
    assert fixed.get_retry_predicate().result_predicate() is bool

    exponential = AsyncRetryStrategy.exponential_backoff(5, 100, 350, 2.0, None, None)
    assert isinstance(exponential, ExponentialBackoffDelayRetryStrategy)
    assert [exponential.get_backoff_time_millis(n) for n in (1, 2, 3, 4)] == [100, 200, 350, 350]


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsyncRetryStrategy.fixed_delay(0, 1, None, None),
        lambda: AsyncRetryStrategy.fixed_delay(1, -1, None, None),
        lambda: AsyncRetryStrategy.exponential_backoff(1, 10, 5, 2.0, None, None),
        lambda: AsyncRetryStrategy.exponential_backoff(1, 1, 5, 0.5, None, None),
    ],
)
def test_senseless_retry_strategies_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_async_timeout_is_an_error_unless_overridden():
    class Echo(AsyncFunction):
        async def async_invoke(self, value):
            return [value]

    with pytest.raises(TimeoutError, match="'x'"):
        Echo().timeout("x")
