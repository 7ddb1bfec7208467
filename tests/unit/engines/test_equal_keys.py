"""Keys that Python holds to be equal: one key where a type is declared, on every store."""

from __future__ import annotations

import pytest

from millpond.common import Configuration, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.errors import SerializationError


def counts(backend, parallelism, key_type, keys):
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    keyed = env.from_collection([(key, 1) for key in keys]).key_by(lambda pair: pair[0], key_type)
    counted = keyed.reduce(lambda a, b: (a[0], a[1] + b[1]))
    return sorted(count for _, count in counted.execute_and_collect())


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_declared_type_makes_equal_keys_one(backend, parallelism):
    assert counts(backend, parallelism, Types.LONG(), [1, True, 1]) == [1, 2, 3]
    assert counts(backend, parallelism, Types.DOUBLE(), [1, 1.0, True]) == [1, 2, 3]


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("keys", [[1.0], [1, 1.0], [1 << 63], ["1"], [None]])
def test_a_key_that_does_not_fit_is_refused_where_it_is_routed(parallelism, keys):
    with pytest.raises(SerializationError, match="LONG") as caught:
        counts("hashmap", parallelism, Types.LONG(), keys)
    assert f"A key of type {type(keys[-1]).__name__} does not fit" in caught.value.message
    assert caught.value.context["operator"]
    assert caught.value.context["key"] == repr(keys[-1])


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_pickled_keys_are_routed_by_their_bytes(backend):
    assert counts(backend, 1, None, [1, True, 1.0]) == [1, 2, 3]
    assert counts(backend, 128, None, [1, True, 1.0]) == [1, 1, 1]
