"""A keyed stream has no operator of its own: what would change the one before it is refused."""

import pytest

from millpond.common import Row, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.errors import UnsupportedOperationError


@pytest.fixture
def env():
    return StreamExecutionEnvironment.get_execution_environment()


@pytest.fixture
def keyed(env):
    return env.from_collection([1, 2], Types.INT()).key_by(lambda number: number, Types.INT())


@pytest.mark.parametrize(
    ("method", "arguments", "what"),
    [
        ("name", ["numbers"], "a name"),
        ("get_name", [], "a name"),
        ("uid", ["numbers"], "a uid"),
        ("set_uid_hash", ["0" * 32], "a uid hash"),
        ("set_description", ["numbers"], "a description"),
        ("set_parallelism", [2], "a parallelism"),
        ("set_max_parallelism", [2], "a max parallelism"),
        ("force_non_parallel", [], "a parallelism"),
        ("set_buffer_timeout", [2], "a buffer timeout"),
        ("start_new_chain", [], "a chain"),
        ("disable_chaining", [], "a chain"),
        ("slot_sharing_group", ["slow"], "a slot sharing group"),
    ],
)
def test_settings_of_an_operator_are_refused(keyed, method, arguments, what):
    with pytest.raises(UnsupportedOperationError) as caught:
        getattr(keyed, method)(*arguments)
    assert str(caught.value) == (
        f"A KeyedStream has not {what} of its own. "
        "Call this on the stream before it, or on the one that its operator makes."
    )


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("shuffle", []),
        ("rebalance", []),
        ("rescale", []),
        ("forward", []),
        ("broadcast", []),
        ("partition_custom", [lambda key, count: 0, lambda value: value]),
    ],
)
def test_other_partitionings_are_refused(keyed, method, arguments):
    message = "The partitioning of a KeyedStream cannot be overridden"
    with pytest.raises(UnsupportedOperationError, match=message):
        getattr(keyed, method)(*arguments)


def test_rows_without_names_get_those_of_the_type(env):
    rows = [Row(1, "a"), (2, "b"), [3, "c"], Row(number=4, letter="d")]
    row_type = Types.ROW_NAMED(["number", "letter"], [Types.INT(), Types.STRING()])
    stream = env.from_collection(rows, row_type)
    letters = list(stream.map(lambda row: (row.number, row.letter)).execute_and_collect())
    assert letters == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


@pytest.mark.parametrize("parallelism", [1, 2])
def test_print_to_err(env, capsys, parallelism):
    stream = env.from_collection([("a", 1)], Types.TUPLE([Types.STRING(), Types.INT()]))
    stream.print_to_err().set_parallelism(parallelism)
    stream.print("twice").set_parallelism(parallelism)
    env.execute()
    printed = capsys.readouterr()
    assert printed.err == ("(a,1)\n" if parallelism == 1 else "1> (a,1)\n")
    assert printed.out == ("twice> (a,1)\n" if parallelism == 1 else "twice:1> (a,1)\n")
