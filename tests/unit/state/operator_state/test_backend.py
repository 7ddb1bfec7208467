from __future__ import annotations

import threading

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor, MapStateDescriptor, StateTtlConfig
from millpond.errors import (
    CheckpointDeclinedError,
    CheckpointStorageError,
    SerializationError,
    SerializerIncompatibleError,
    SnapshotCorruptedError,
    StateError,
    StateTypeError,
)
from millpond.formats.handles import OperatorState, SubtaskState
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.operator_state.backend import OperatorStateBackend
from millpond.state.operator_state.broadcast_state import ReadOnlyView
from millpond.state.operator_state.redistribution import redistribute
from millpond.testing.memory_snapshots import MemorySnapshots

LIST = ListStateDescriptor("list", Types.LONG())
UNION = ListStateDescriptor("union", Types.STRING())
RULES = MapStateDescriptor("rules", Types.STRING(), Types.LONG())


def snapshot(backend, storage, checkpoint_id=1):
    captured = backend.snapshot(checkpoint_id, storage, SnapshotOptions())
    try:
        return captured.write()
    finally:
        captured.release()


def restore(handles, parallelism, storage):
    state = OperatorState(
        b"\1" * 16,
        len(handles),
        128,
        {i: SubtaskState(operator_managed=h) for i, h in enumerate(handles) if h is not None},
    )
    parts = redistribute(state, parallelism, storage.reader())
    return [OperatorStateBackend("op", part) for part in parts]


@pytest.fixture
def storage():
    return MemorySnapshots()


def test_nothing_registered_gives_no_handle(storage):
    assert snapshot(OperatorStateBackend("op"), storage) is None
    assert redistribute(None, 2, storage.reader())[1].states == {}


def test_registered_but_empty_states_come_back_empty(storage):
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST)
    backend.get_broadcast_state(RULES)
    (restored,) = restore([snapshot(backend, storage)], 1, storage)
    assert restored.get_list_state(LIST).get() == []
    assert restored.get_broadcast_state(RULES).is_empty()


def test_a_name_gives_the_same_object():
    backend = OperatorStateBackend("op")
    assert backend.get_list_state(LIST) is backend.get_list_state(LIST)
    assert backend.get_broadcast_state(RULES) is backend.get_broadcast_state(RULES)
    assert backend.broadcast_states() == {"rules": backend.get_broadcast_state(RULES)}


def test_a_name_cannot_have_two_modes_or_types():
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST)
    with pytest.raises(StateTypeError, match=r"split list<LONG>.*union list<LONG>"):
        backend.get_union_list_state(LIST)
    with pytest.raises(StateTypeError, match=r"split list<LONG>.*split list<STRING>"):
        backend.get_list_state(ListStateDescriptor("list", Types.STRING()))
    with pytest.raises(StateTypeError, match=r"split list<LONG>.*broadcast"):
        backend.get_broadcast_state(MapStateDescriptor("list", Types.LONG(), Types.LONG()))
    with pytest.raises(StateTypeError, match="needs a MapStateDescriptor"):
        backend.get_broadcast_state(LIST)


def test_no_time_to_live():
    descriptor = ListStateDescriptor("list", Types.LONG())
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(Time.seconds(1)).build())
    with pytest.raises(StateTypeError, match="time to live"):
        OperatorStateBackend("op").get_list_state(descriptor)


def test_list_state():
    state = OperatorStateBackend("op").get_list_state(LIST)
    state.add(1)
    state.add_all([2, 3])
    assert list(state) == [1, 2, 3]
    state.update([4])
    for wrong in (None, [1, None], ["text"]):
        with pytest.raises((StateError, SerializationError)):
            state.add_all(wrong)
    with pytest.raises(SerializationError) as caught:
        state.add("text")
    assert caught.value.context["state"] == "list"
    assert state.get() == [4]
    state.clear()
    assert state.get() == []


def test_broadcast_state(storage):
    backend = OperatorStateBackend("op")
    state = backend.get_broadcast_state(RULES)
    state.put_all({"a": 1})
    state.put_all([("b", 2)])
    state.put("c", None)
    state["d"] = 4
    state.remove("d")
    state.remove("none")
    for key in list(state):
        state.put(key + "2", 1)
        state.remove(key + "2")
    view = ReadOnlyView(state)
    assert dict(view.items()) == {"a": 1, "b": 2, "c": None}
    assert view.get("b") == 2
    assert "a" in view
    assert sorted(view) == ["a", "b", "c"]
    with pytest.raises(StateError):
        view.clear()
    with pytest.raises(SerializationError, match="map key"):
        state.put(5, 5)
    with pytest.raises(SerializationError, match="map value"):
        state.put("x", "y")
    (restored,) = restore([snapshot(backend, storage)], 1, storage)
    assert dict(restored.get_broadcast_state(RULES).items()) == {"a": 1, "b": 2, "c": None}


@pytest.mark.parametrize("parallelism", [1, 2, 3, 5])
def test_redistribution(storage, parallelism):
    handles = []
    for index in range(2):
        backend = OperatorStateBackend("op")
        backend.get_list_state(LIST).update(range(index * 10, index * 10 + 5))
        backend.get_union_list_state(UNION).add(f"u{index}")
        backend.get_broadcast_state(RULES).put("copy", index)
        handles.append(snapshot(backend, storage))
    restored = restore(handles, parallelism, storage)
    lists = [each.get_list_state(LIST).get() for each in restored]
    elements = [*range(5), *range(10, 15)]
    assert [element for each in lists for element in each] == elements
    assert max(map(len, lists)) - min(map(len, lists)) <= 1
    for index, each in enumerate(restored):
        assert each.get_union_list_state(UNION).get() == ["u0", "u1"]
        assert each.get_broadcast_state(RULES).get("copy") == index % 2


def test_states_that_nobody_registers_are_carried_on(storage):
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST).update([1, 2])
    backend.get_broadcast_state(RULES).put("a", 1)
    (second,) = restore([snapshot(backend, storage)], 1, storage)
    (third,) = restore([snapshot(second, storage)], 1, storage)
    assert third.get_list_state(LIST).get() == [1, 2]
    assert third.get_broadcast_state(RULES).get("a") == 1


def test_restored_state_of_another_mode_or_type_is_refused(storage):
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST).update([1, 2])
    (restored,) = restore([snapshot(backend, storage)], 1, storage)
    with pytest.raises(SerializerIncompatibleError, match=r"split list<LONG>.*union list<LONG>"):
        restored.get_union_list_state(LIST)
    with pytest.raises(SerializerIncompatibleError, match=r"split list<LONG>.*list<STRING>"):
        restored.get_list_state(ListStateDescriptor("list", Types.STRING()))
    assert restored.get_list_state(LIST).get() == [1, 2]


def test_a_snapshot_is_isolated_from_later_changes(storage):
    objects = ListStateDescriptor("objects", None)
    backend = OperatorStateBackend("op")
    mutable = {"n": 1}
    backend.get_list_state(objects).add(mutable)
    backend.get_list_state(LIST).add(1)
    backend.get_broadcast_state(RULES).put("a", 1)
    captured = backend.snapshot(1, storage, SnapshotOptions())
    mutable["n"] = 2
    backend.get_list_state(LIST).add(2)
    backend.get_broadcast_state(RULES).put("a", 2)
    handles = []
    thread = threading.Thread(target=lambda: handles.append(captured.write()))
    thread.start()
    thread.join()
    captured.release()
    (restored,) = restore(handles, 1, storage)
    assert restored.get_list_state(objects).get() == [{"n": 1}]
    assert restored.get_list_state(LIST).get() == [1]
    assert restored.get_broadcast_state(RULES).get("a") == 1


def test_cancelling_and_failing_leave_no_stream_open(storage):
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST).add(1)
    captured = backend.snapshot(1, storage, SnapshotOptions())
    captured.cancel()
    with pytest.raises(CheckpointDeclinedError):
        captured.write()
    captured.release()
    storage.fail_after_bytes = 3
    with pytest.raises(CheckpointStorageError):
        snapshot(backend, storage)
    assert storage.open_streams == 0
    backend.close()
    backend.close()


@pytest.mark.parametrize("size", [0, 5, -1])
def test_a_damaged_stream_is_named(storage, size):
    backend = OperatorStateBackend("op")
    backend.get_list_state(LIST).add(1)
    handle = snapshot(backend, storage)
    storage.replace(handle.stream, storage.content(handle.stream)[:size])
    with pytest.raises(SnapshotCorruptedError, match="operator state"):
        restore([handle], 1, storage)
