"""The differences that damage makes, of which docs/formats/damage.md lists those that may be."""

from __future__ import annotations

import dataclasses

from millpond.errors import FormatError
from millpond.formats.handles import (
    CheckpointMetadata,
    InlineHandle,
    KeyGroupsHandle,
    SubtaskState,
)
from millpond.formats.savepoint_content import TimerEntry
from millpond.formats.state_meta import KEYED_STATE_TYPE

ERROR = "error"
EQUAL = "equal"
DOCUMENTED = {
    ERROR,
    EQUAL,
    "checkpoint id",
    "class of a tuple",
    "name of a state",
    "operator's coordinator",
    "operator's max_parallelism",
    "operator's name",
    "operator's operator_id",
    "operator's parallelism",
    "operator's subtasks",
    "subtask of operator state",
    "value of domain",
    "value of key",
    "value of namespace",
    "value of operator state",
    "value of service",
    "value of timestamp",
    "value of user_key",
    "value of value",
}


def says_where(error: BaseException | None) -> bool:
    """Whether an error, or one that it wraps, names an offset."""
    while isinstance(error, FormatError):
        if "offset" in error.context:
            return True
        error = error.__cause__
    return False


def difference(metadata, other_metadata, entries, other_entries) -> str:
    """The documented kind of difference of two contents, fails on any other.

    The metadata is None if it is known to be the same; entries may be left out of both lists.
    """
    kinds = set()
    if metadata is not other_metadata and plain(metadata) != plain(other_metadata):
        kinds.add(difference_of_metadata(plain(metadata), plain(other_metadata)))
    assert len(entries) == len(other_entries), "entries came or went"
    pairs = [
        (one, other) for one, other in zip(entries, other_entries, strict=True) if one != other
    ]
    kinds |= {difference_of_entries(one, other) for one, other in pairs}
    if "value" in str(kinds) and len(pairs) != 1:
        assert kinds <= {"value of key", "value of namespace"}, "one byte changed several values"
        # In heap layout the key of a map stands once for all of its entries.
        assert len({(id(one.state), one.key, one.namespace) for one, _ in pairs}) == 1
        assert len({(other.key, other.namespace) for _, other in pairs}) == 1
        assert pairs[0][0].state.options[KEYED_STATE_TYPE] == "MAP"
    # Two kinds at once only where one byte stands for both: a broadcast element's header.
    assert len(kinds) <= 1, kinds
    return kinds.pop() if kinds else EQUAL


def plain(metadata: CheckpointMetadata) -> CheckpointMetadata:
    """The metadata without the bytes of state, which are compared as entries, and properties."""

    def stream(handle):
        return InlineHandle(b"") if isinstance(handle, InlineHandle) else handle

    def keyed(handle):
        if isinstance(handle, KeyGroupsHandle):
            # Which layout the body has is told by the body, if the handle does not say.
            return dataclasses.replace(handle, stream=stream(handle.stream), savepoint=False)
        # Ids of handles, and what a checkpoint wrote itself, say nothing about the state. Nobody
        # reads CURRENT and OPTIONS; what is in the other files is compared as entries.
        return dataclasses.replace(
            handle,
            checkpoint_id=0,
            backend_id="",
            checkpointed_size=0,
            meta=stream(handle.meta),
            shared=(),
            private=(),
        )

    def subtask(state: SubtaskState) -> SubtaskState:
        managed = state.operator_managed
        if managed is not None:
            managed = dataclasses.replace(managed, stream=stream(managed.stream))
        return dataclasses.replace(
            state,
            operator_managed=managed,
            keyed_managed=tuple(map(keyed, state.keyed_managed)),
            keyed_raw=tuple(map(keyed, state.keyed_raw)),
        )

    operators = tuple(
        dataclasses.replace(
            operator, subtasks={i: subtask(each) for i, each in operator.subtasks.items()}
        )
        for operator in metadata.operators
    )
    return dataclasses.replace(metadata, operators=operators, properties=b"")


def difference_of_metadata(one: CheckpointMetadata, other: CheckpointMetadata) -> str:
    if dataclasses.replace(other, checkpoint_id=one.checkpoint_id) == one:
        return "checkpoint id"
    assert dataclasses.replace(other, operators=one.operators) == one
    ((ours, theirs),) = (
        pair for pair in zip(one.operators, other.operators, strict=True) if pair[0] != pair[1]
    )
    keyed = any(each.keyed_managed or each.keyed_raw for each in ours.subtasks.values())
    for field in dataclasses.fields(ours):
        value = getattr(ours, field.name)
        if dataclasses.replace(theirs, **{field.name: value}) == ours:
            allowed = {"name", "coordinator"}
            if not ours.uid:
                allowed |= {"operator_id"}
            if not keyed:
                allowed |= {"parallelism", "max_parallelism", "subtasks"}
            if field.name == "subtasks" and keyed:
                # A subtask's operator state may be missing altogether, never changed.
                raise AssertionError(f"a subtask changed: {ours.subtasks} {theirs.subtasks}")
            assert field.name in allowed, field.name
            return f"operator's {field.name}"
    raise AssertionError("several things changed")


def difference_of_entries(one, other) -> str:
    if isinstance(one, tuple) and isinstance(one[0], int):
        return difference_of_operator_state(one, other)
    assert type(one) is type(other)
    if one.state != other.state:
        same = {"state": other.state}
        if isinstance(one, TimerEntry):
            same |= {"service": other.service, "domain": other.domain}
        assert one._replace(**same) == other
        if one.state.serializers != other.state.serializers:
            assert one.state.name == other.state.name
            return "class of a tuple"
        return "name of a state"
    (field,) = (name for name in one._fields if getattr(one, name) != getattr(other, name))
    allowed = {"key", "namespace"}
    allowed |= (
        {"timestamp", "service", "domain"} if isinstance(one, TimerEntry) else {"user_key", "value"}
    )
    assert field in allowed
    ours, theirs = getattr(one, field), getattr(other, field)
    if isinstance(ours, bytes):
        assert differing_bytes(ours, theirs) == 1
    return f"value of {field}"


def difference_of_operator_state(one, other) -> str:
    (subtask, ours), (other_subtask, theirs) = one, other
    if subtask != other_subtask:
        return "subtask of operator state"
    if ours.header != theirs.header:
        assert list(ours.lists.values()) == list(theirs.lists.values())
        assert list(ours.broadcasts.values()) == list(theirs.broadcasts.values())
        return "name of a state"
    assert ours.lists.keys() == theirs.lists.keys()
    flat = [
        [
            *(each for elements in content.lists.values() for each in elements),
            *(each for entries in content.broadcasts.values() for pair in entries for each in pair),
        ]
        for content in (ours, theirs)
    ]
    changed = [pair for pair in zip(*flat, strict=True) if pair[0] != pair[1]]
    assert sum(differing_bytes(*pair) for pair in changed) == 1
    return "value of operator state"


def differing_bytes(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True))
