"""Raw timers, built by hand as Flink writes heap timers beside RocksDB state."""

import io

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats.buffer import BufferWriter
from millpond.formats.handles import InlineHandle, KeyGroupsHandle
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import NAMESPACES, timer_state_meta
from millpond.formats.pyflink_values import encode_timer
from millpond.formats.serializer_snapshot import write_serializer_snapshot
from millpond.serialization.key_serializer import key_serializer_for

KEY = key_serializer_snapshot(Types.INT())
_key_group = key_serializer_for(Types.INT()).key_group
NUMBER_OF = {_key_group(number, 128): number for number in range(2000)}


def key(group):
    """A key that belongs to the key group."""
    return b"\0" + NUMBER_OF[group].to_bytes(4, "big")


def key_group(group, services=("user-timers",), key_snapshots=(KEY, KEY), times=(7, -5)):
    out = BufferWriter()
    out.raw(bytes.fromhex("f1cd859f"))
    out.int32(2)
    out.int32(len(services))
    for service, snapshot in zip(services, key_snapshots, strict=False):
        out.utf(service)
        write_serializer_snapshot(out, snapshot)
        write_serializer_snapshot(out, NAMESPACES["void"])
        out.int32(len(times))
        for time in times:
            out.raw(key(group) + b"\0")
            out.int64(time)
        out.int32(0)
    return out.to_bytes()


def handle_of(first, groups):
    offsets = tuple(sum(map(len, groups[:index])) for index in range(len(groups)))
    stream = InlineHandle(b"".join(groups))
    return KeyGroupsHandle(first, offsets, stream, savepoint=False, raw=True)


def opened(handle, data=None):
    data = handle.stream.data if data is None else data
    return open_keyed_state(handle, lambda _: io.BytesIO(data), 128)


def blocks(handle, data=None, key_groups=None):
    return list(opened(handle, data).blocks(key_groups))


def test_they_get_the_canonical_form_in_order():
    handle = handle_of(5, [key_group(5), key_group(6)])
    assert opened(handle).header.states == (
        timer_state_meta("user-timers", "event", KEY),
        timer_state_meta("user-timers", "processing", KEY),
    )
    expected = [
        KeyedBlock(
            group,
            0,
            [(bytes([group]) + encode_timer(time, key(group), b"\0"), b"") for time in (-5, 7)],
        )
        for group in (5, 6)
    ]
    assert blocks(handle) == expected
    assert blocks(handle, key_groups=(6, 9)) == expected[1:]


def test_an_operator_without_timers_has_no_states():
    handle = handle_of(5, [key_group(5, ())])
    assert opened(handle).header.states == ()
    assert blocks(handle) == []


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([key_group(6)], "does not belong to the key group"),
        ([key_group(5, times=(3, 3))], "A key stands twice"),
        ([key_group(5), key_group(6, ("others",))], "Two key groups disagree on their timers"),
        ([key_group(5, ("one", "one"))], "Two timer services have the same name"),
        (
            [key_group(5, ("a", "b"), (KEY, key_serializer_snapshot(Types.LONG())), times=())],
            "Two timer services have different keys",
        ),
        ([b"x" + key_group(5)[1:]], "holds no timers"),
        ([key_group(5)[:7] + b"\3" + key_group(5)[8:]], "Unknown version of raw timers"),
        ([key_group(5) + b"x"], "raw timers"),
    ],
)
def test_damage_is_named(groups, message):
    with pytest.raises(FormatError, match=message) as caught:
        blocks(handle_of(5, groups))
    assert "offset" in caught.value.context


def test_every_length_is_refused():
    handle = handle_of(5, [key_group(5), key_group(6)])
    for size in range(handle.size):
        with pytest.raises(FormatError):
            blocks(handle, handle.stream.data[:size])


def test_key_groups_must_follow_each_other():
    one = handle_of(5, [key_group(5), key_group(6)])
    for offsets in ((1, one.offsets[1]), (0, one.size + 1)):
        wrong = KeyGroupsHandle(5, offsets, one.stream, savepoint=False, raw=True)
        with pytest.raises(FormatError, match="overlap, or leave a gap"):
            opened(wrong)
