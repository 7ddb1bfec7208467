from __future__ import annotations

from dataclasses import replace

import pytest

from millpond.checkpoint.completed import CompletedCheckpoint
from millpond.checkpoint.location import CheckpointLocation
from millpond.common.typeinfo import Types
from millpond.datastream.operator_spec import COLLECT_UID
from millpond.datastream.partitioning import KeyGroupPartitioning
from millpond.errors import SavepointMismatchError
from millpond.formats.handles import (
    CheckpointMetadata,
    InlineHandle,
    KeyGroupsHandle,
    OperatorState,
    SubtaskState,
)
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.pyflink_serializers import keyed_state_meta, timer_state_meta
from millpond.runtime.job_graph import JobGraph, JobVertex, OperatorNode
from millpond.runtime.operator_id import operator_id_of_uid
from millpond.runtime.restore import restore_from


def graph(*, uid="counts", parallelism=2, maximum=128, is_set=False, keyed=True):
    keys = KeyGroupPartitioning(str, Types.STRING()) if keyed else None
    node = OperatorNode(operator_id_of_uid(uid), "counter", uid, b"", None, keys, frozenset())
    vertex = JobVertex(0, (node,), (), parallelism, maximum, is_set)
    return JobGraph("job", (vertex,), ())


def snapshot(*, uid="counts", maximum=128, empty=False):
    handle = KeyGroupsHandle(0, (0,) * maximum, InlineHandle(b"state"))
    subtask = SubtaskState() if empty else SubtaskState(keyed_managed=(handle,))
    operator = OperatorState(operator_id_of_uid(uid), 1, maximum, {0: subtask}, name="old name")
    location = CheckpointLocation(7, "memory:///chk-7")
    return CompletedCheckpoint(7, CheckpointMetadata(7, (operator,)), location, {})


def restored(graph, checkpoint, *, allow=False):
    return restore_from(checkpoint, graph, allow_non_restored_state=allow)


def test_nothing_to_restore():
    one = graph()
    assert restored(one, None) == (one, None)


def test_operators_are_found_by_id():
    _, restore = restored(graph(), snapshot())
    assert restore.checkpoint_id == 7
    assert list(restore.operators) == [operator_id_of_uid("counts")]


def test_state_without_operator_is_refused_and_named():
    with pytest.raises(SavepointMismatchError) as caught:
        restored(graph(uid="sums"), snapshot())
    text = str(caught.value)
    for part in (operator_id_of_uid("counts").hex(), "old name", "counter (sums)", "chk-7"):
        assert part in text


def test_states_tell_which_operator_it_was():
    """Metadata of version 3 have no names."""
    header = KeyedHeader(
        key_serializer_snapshot(Types.STRING()),
        (
            keyed_state_meta("total", is_map=False),
            keyed_state_meta("seen", is_map=True),
            timer_state_meta("user-timers", "event", key_serializer_snapshot(Types.STRING())),
        ),
    )
    handle = KeyGroupsHandle(0, (0,) * 128, InlineHandle(write_keyed_header(header)))
    subtask = SubtaskState(keyed_managed=(handle,))
    operator = OperatorState(operator_id_of_uid("counts"), 1, 128, {0: subtask})
    location = CheckpointLocation(7, "memory:///chk-7")
    checkpoint = CompletedCheckpoint(7, CheckpointMetadata(7, (operator,)), location, {})
    with pytest.raises(SavepointMismatchError, match=r"\(with state 'total', state 'seen'\)"):
        restored(graph(uid="sums"), checkpoint)


def test_timers_alone_are_state():
    checkpoint = snapshot()
    (operator,) = checkpoint.metadata.operators
    raw = KeyGroupsHandle(0, (0,) * 128, InlineHandle(b"timers"), savepoint=False, raw=True)
    operator = replace(operator, subtasks={0: SubtaskState(keyed_raw=(raw,))})
    metadata = replace(checkpoint.metadata, operators=(operator,))
    with pytest.raises(SavepointMismatchError, match="old name"):
        restored(graph(uid="sums"), replace(checkpoint, metadata=metadata))


def test_a_uid_that_was_changed_a_little_is_suggested():
    checkpoint = snapshot()
    (operator,) = checkpoint.metadata.operators
    named = replace(operator, uid="counts")
    metadata = replace(checkpoint.metadata, operators=(named,))
    with pytest.raises(SavepointMismatchError, match="Did uid 'counts' become 'count'"):
        restored(graph(uid="count"), replace(checkpoint, metadata=metadata))


def test_state_without_operator_may_be_dropped():
    _, restore = restored(graph(uid="sums"), snapshot(), allow=True)
    assert restore.operators == {}


def test_keyed_state_of_an_operator_that_lost_its_keys_is_refused_unless_it_may_go():
    with pytest.raises(SavepointMismatchError, match=r"no keys in the job: counter \(counts\)"):
        restored(graph(keyed=False), snapshot())
    assert restored(graph(keyed=False), snapshot(), allow=True)[1] is not None
    assert restored(graph(keyed=False), snapshot(empty=True))[1] is not None


def test_an_operator_without_state_may_go():
    assert restored(graph(uid="sums"), snapshot(empty=True))[1].operators == {}


def test_held_back_results_of_a_client_may_go():
    assert restored(graph(), snapshot(uid=COLLECT_UID))[1].operators == {}


def test_the_max_parallelism_of_the_snapshot_is_taken_over():
    changed, _ = restored(graph(maximum=256), snapshot(maximum=64))
    assert changed.vertices[0].max_parallelism == 64


def test_a_max_parallelism_that_was_set_must_be_that_of_the_snapshot():
    restored(graph(maximum=64, is_set=True), snapshot(maximum=64))
    with pytest.raises(SavepointMismatchError, match="was 64 in the snapshot"):
        restored(graph(maximum=128, is_set=True), snapshot(maximum=64))


def test_the_parallelism_may_not_be_above_it():
    with pytest.raises(SavepointMismatchError, match="parallelism 9 is above"):
        restored(graph(parallelism=9), snapshot(maximum=8))
