"""Results go to the main output, tagged ones to their side."""

import pickle
from typing import NamedTuple

import pytest

from millpond.common import Types
from millpond.datastream.output_tag import OutputTag
from millpond.operators.results import emit_results


class Emitted:
    def __init__(self):
        self.main, self.sides = [], {}

    def emit(self, batch):
        self.main.append((batch.values, batch.timestamps))

    def emit_side(self, tag_id, batch):
        self.sides[tag_id] = (batch.values, batch.timestamps)


@pytest.fixture
def no_tag_yet(monkeypatch):
    monkeypatch.setattr(OutputTag, "in_use", False)


def test_without_tags_results_are_handed_on_as_they_are(no_tag_yet):
    output, values, times = Emitted(), [1, (2, 3)], [10, 20]
    emit_results(values, times, output)
    assert output.main == [(values, times)]
    assert output.main[0][0] is values


def test_tagged_results_go_to_their_side(no_tag_yet):
    late, odd = OutputTag("late"), OutputTag("odd")
    output = Emitted()
    emit_results([1, (late, 2), (odd, 3), (late, 4), 5], [10, 20, 30, 40, 50], output)
    assert output.main == [([1, 5], [10, 50])]
    assert output.sides == {"late": ([2, 4], [20, 40]), "odd": ([3], [30])}


def test_a_tag_that_arrives_pickled_is_noticed(no_tag_yet, monkeypatch):
    pickled = pickle.dumps(OutputTag("late", Types.LONG()))
    monkeypatch.setattr(OutputTag, "in_use", False)
    tag = pickle.loads(pickled)
    assert tag == OutputTag("late")
    assert tag.type_info == Types.LONG()
    output = Emitted()
    emit_results([(tag, 1)], None, output)
    assert output.sides == {"late": ([1], None)}


def test_only_plain_pairs_with_a_tag_are_tagged():
    class Pair(NamedTuple):
        first: object
        second: object

    tag, output = OutputTag("late"), Emitted()
    values = [Pair(tag, 1), (tag, 1, 2), [tag, 1]]
    emit_results(values, None, output)
    assert output.main == [(values, None)]
