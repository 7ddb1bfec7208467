"""State descriptors and time to live."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from millpond.common.time import Duration, Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction, ReduceFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import ConfigurationError, StateTypeError


class Larger(ReduceFunction):
    def reduce(self, value1, value2):
        return max(value1, value2)


class Sum(AggregateFunction):
    def create_accumulator(self):
        return 0

    def add(self, value, accumulator):
        return accumulator + value

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


def test_descriptors_hold_name_and_types():
    value = ValueStateDescriptor("v", Types.LONG())
    assert (value.get_name(), value.type_info, value.ttl_config) == ("v", Types.LONG(), None)
    assert ListStateDescriptor("l", Types.STRING()).type_info == Types.STRING()
    entries = MapStateDescriptor("m", Types.STRING(), Types.LONG())
    assert (entries.key_type_info, entries.type_info) == (Types.STRING(), Types.LONG())
    function = Sum()
    assert AggregatingStateDescriptor("a", function, None).get_agg_function() is function


@pytest.mark.parametrize("function", [Larger(), Larger, max, lambda a, b: max(b, a)])
def test_reduce_functions_may_be_objects_classes_or_callables(function):
    descriptor = ReducingStateDescriptor("r", function, Types.LONG())
    assert isinstance(descriptor.get_reduce_function(), ReduceFunction)
    assert descriptor.get_reduce_function().reduce(3, 7) == 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueStateDescriptor("", Types.LONG()),
        lambda: ValueStateDescriptor(None, Types.LONG()),
        lambda: ValueStateDescriptor("v", "LONG"),
        lambda: MapStateDescriptor("m", "STRING", Types.LONG()),
        lambda: ReducingStateDescriptor("r", 5, Types.LONG()),
        lambda: AggregatingStateDescriptor("a", max, Types.LONG()),
        lambda: ValueStateDescriptor("v", Types.LONG()).enable_time_to_live(Time.seconds(1)),
    ],
)
def test_malformed_descriptors_are_type_errors(make):
    with pytest.raises(StateTypeError) as failure:
        make()
    assert isinstance(failure.value, TypeError)


def test_ttl_defaults():
    config = StateTtlConfig.new_builder(Time.seconds(1)).build()
    assert config.get_update_type() is StateTtlConfig.UpdateType.OnCreateAndWrite
    assert config.get_state_visibility() is StateTtlConfig.StateVisibility.NeverReturnExpired
    assert config.get_ttl_time_characteristic() is (
        StateTtlConfig.TtlTimeCharacteristic.ProcessingTime
    )
    assert config.get_ttl() == Time.seconds(1)
    assert config.ttl_ms == 1000
    assert config.is_enabled()
    strategies = config.get_cleanup_strategies()
    assert strategies.is_cleanup_in_background()
    assert not strategies.in_full_snapshot()
    incremental = strategies.get_incremental_cleanup_strategy()
    assert incremental.get_cleanup_size() == 5
    assert not incremental.run_cleanup_for_every_record()
    rocksdb = strategies.get_rocksdb_compact_filter_cleanup_strategy()
    assert rocksdb.get_query_time_after_num_entries() == 1000
    assert rocksdb.get_periodic_compaction_time().to_millis() == 30 * 24 * 3600 * 1000


def test_every_ttl_setting():
    config = (
        StateTtlConfig.new_builder(Time.seconds(1))
        .set_ttl(Duration.of_minutes(1))
        .update_ttl_on_read_and_write()
        .return_expired_if_not_cleaned_up()
        .use_processing_time()
        .cleanup_full_snapshot()
        .cleanup_incrementally(10, True)
        .cleanup_in_rocksdb_compact_filter(50, Duration.of_hours(1))
        .disable_cleanup_in_background()
        .build()
    )
    assert config.ttl_ms == 60_000
    assert config.get_update_type() is StateTtlConfig.UpdateType.OnReadAndWrite
    assert config.get_state_visibility() is (
        StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp
    )
    strategies = config.get_cleanup_strategies()
    assert strategies.in_full_snapshot()
    assert not strategies.is_cleanup_in_background()
    assert strategies.get_incremental_cleanup_strategy().get_cleanup_size() == 10
    assert strategies.get_incremental_cleanup_strategy().run_cleanup_for_every_record()
    rocksdb = strategies.get_rocksdb_compact_filter_cleanup_strategy()
    assert rocksdb.get_query_time_after_num_entries() == 50
    assert rocksdb.get_periodic_compaction_time().to_millis() == 3_600_000


def test_background_cleanup_can_be_off():
    builder = StateTtlConfig.new_builder(timedelta(seconds=1)).disable_cleanup_in_background()
    strategies = builder.build().get_cleanup_strategies()
    assert strategies.get_incremental_cleanup_strategy() is None
    assert strategies.get_rocksdb_compact_filter_cleanup_strategy() is None


def test_disabled_ttl():
    builder = StateTtlConfig.new_builder(Time.seconds(1))
    builder.set_update_type(StateTtlConfig.UpdateType.Disabled)
    assert not builder.build().is_enabled()


@pytest.mark.parametrize(
    "make",
    [
        lambda: StateTtlConfig.new_builder(Time.seconds(0)).build(),
        lambda: StateTtlConfig.new_builder(Time.seconds(1)).cleanup_incrementally(0, False),
        lambda: StateTtlConfig.new_builder(Time.seconds(1)).cleanup_in_rocksdb_compact_filter(
            1, Time.seconds(-1)
        ),
    ],
)
def test_senseless_ttl_settings_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_configurations_and_descriptors_pickle():
    descriptor = MapStateDescriptor("m", Types.STRING(), Types.LONG())
    descriptor.enable_time_to_live(
        StateTtlConfig.new_builder(Time.seconds(1)).cleanup_incrementally(3, True).build()
    )
    copy = pickle.loads(pickle.dumps(descriptor))
    strategies = copy.ttl_config.get_cleanup_strategies()
    assert strategies.get_incremental_cleanup_strategy().get_cleanup_size() == 3
    assert copy.ttl_config.get_update_type() is StateTtlConfig.UpdateType.OnCreateAndWrite
    assert str(copy.ttl_config.get_update_type()) == "UpdateType.OnCreateAndWrite"
