"""Metrics: PyFlink's methods, scopes and what a reader sees."""

from millpond.metrics.registry import Counter, Gauge, MetricRegistry


def test_counters_count_up_and_down():
    counter = MetricRegistry().group({}).counter("seen")
    counter.inc()
    counter.inc(5)
    counter.dec(2)
    assert counter.get_count() == 4


def test_groups_nest_by_name_and_by_variable():
    registry = MetricRegistry()
    group = registry.group({"job": "j"}).add_group("outer").add_group("room", "7")
    group.counter("seen")
    ((scope, name, metric, logical_name),) = registry
    assert logical_name == "outer.room.seen"
    assert scope == {"job": "j", "room": "7"}
    assert name == "outer.room.7.seen"
    assert isinstance(metric, Counter)


def test_a_gauge_is_asked_when_somebody_looks():
    registry = MetricRegistry()
    values = [1]
    assert registry.group({}).gauge("size", lambda: values[-1]) is not None
    values.append(2)
    ((_, _, metric, _),) = registry
    assert isinstance(metric, Gauge)
    assert metric.get_value() == 2


def test_meters_count_events():
    meter = MetricRegistry().group({}).meter("events", 30)
    meter.mark_event()
    meter.mark_event(3)
    assert (meter.get_count(), meter.time_span_seconds) == (4, 30)


def test_distributions_keep_the_last_values_and_the_sum_of_all():
    distribution = MetricRegistry().group({}).distribution("latency")
    assert distribution.quantile(0.5) == 0
    for value in range(2000):
        distribution.update(value)
    assert (distribution.count, distribution.sum) == (2000, 1999000)
    assert distribution.quantile(0) == 976
    assert distribution.quantile(1) == 1999


def test_registering_a_name_again_replaces_it():
    registry = MetricRegistry()
    registry.group({}).counter("seen").inc()
    registry.group({}).counter("seen")
    assert [each.metric.get_count() for each in registry] == [0]
