"""`ExternalSort`: order, runs on disk, their merging, failures."""

import random
import re

import pytest

from millpond.errors import StateStoreError
from millpond.operators import external_sort
from millpond.operators.external_sort import ExternalSort


def fill(sort, count, seed=1, size=20):
    dice = random.Random(seed)
    expected = []
    for start in range(0, count, 50):
        rows = [
            (f"key {dice.randrange(40)}", dice.randrange(-5, 5), f"value {number} {'x' * size}")
            for number in range(start, min(start + 50, count))
        ]
        keys = [(key.encode(), key) for key, _, _ in rows]
        sort.add(keys, [value for _, _, value in rows], [time for _, time, _ in rows], start % 2)
        expected += [
            (key.encode(), time, start + index, start % 2, key, value)
            for index, (key, time, value) in enumerate(rows)
        ]
    return sorted(expected)


@pytest.mark.parametrize(("memory", "runs"), [(1 << 30, 0), (200_000, 4), (20_000, 36)])
def test_records_come_back_by_key_time_and_arrival(tmp_path, memory, runs):
    sort = ExternalSort(memory, tmp_path)
    expected = fill(sort, 2000)
    assert sort.runs in {runs, runs + 1, runs + 4}
    assert list(sort) == expected
    sort.close()
    assert list(tmp_path.iterdir()) == []


def test_many_runs_are_merged_in_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(external_sort, "_MAX_RUNS", 3)
    sort = ExternalSort(10_000, tmp_path)
    expected = fill(sort, 1500)
    assert sort.runs > 9
    assert list(sort) == expected


def test_what_is_in_memory_stays_below_the_limit(tmp_path):
    sort = ExternalSort(100_000, tmp_path)
    largest = 0
    dice = random.Random(5)
    for _ in range(60):
        values = ["x" * dice.randrange(2000) for _ in range(20)]
        sort.add([(b"k", "k")] * 20, values, [0] * 20, 0)
        largest = max(largest, sum(len(record[5]) for record in sort._records))
    assert largest < 100_000
    assert len(list(sort)) == 1200


def test_instances_of_classes_that_cannot_be_imported_keep_their_class(tmp_path):
    class Local:
        def __init__(self, number):
            self.number = number

    sort = ExternalSort(1, tmp_path)
    sort.add([(b"k", "k")] * 3, [Local(number) for number in range(3)], [2, 1, 0], 0)
    assert sort.runs == 1
    values = [record[5] for record in sort]
    assert [type(value) for value in values] == [Local] * 3
    assert [value.number for value in values] == [2, 1, 0]


def test_a_directory_that_cannot_be_written_is_a_named_error(tmp_path):
    missing = tmp_path / "missing"
    sort = ExternalSort(1, missing)
    message = re.escape("Sorted records could not be written: No such file or directory.")
    with pytest.raises(StateStoreError, match=message):
        sort.add([(b"k", "k")], ["value"], [0], 0)
    sort.close()
