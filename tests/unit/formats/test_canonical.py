import io
import sys

import pytest

from millpond.errors import FormatError, MissingDependencyError
from millpond.formats.canonical_reader import CanonicalReader, read_canonical
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.handles import InlineHandle, KeyGroupsHandle
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.pyflink_serializers import BYTES, keyed_state_meta, row_snapshot
from millpond.formats.snappy_frames import frames, read_frame

STATES = tuple(keyed_state_meta(name, is_map=False) for name in ("a", "b", "c"))
KEY = row_snapshot(BYTES)


def header(*, compressed=False):
    return KeyedHeader(KEY, STATES, compressed)


def entries(group, count, size=20, salt=0):
    return [
        (bytes([group]) + i.to_bytes(4, "big"), bytes([(i + salt) % 256]) * (size + i % 7))
        for i in range(count)
    ]


CONTENT = {
    3: {0: entries(3, 5), 2: entries(3, 1)},
    4: {1: entries(4, 30_000, 40)},
    127: {2: entries(127, 3), 0: entries(127, 2, 2_500_000)},
}


def write(out, content, *, compressed=False, first=0, last=127):
    writer = CanonicalWriter(out, header(compressed=compressed), first, last)
    for group, states in content.items():
        writer.begin_key_group(group)
        for state_id, rows in states.items():
            writer.write_entries(state_id, rows)
    return KeyGroupsHandle(first, writer.finish(), InlineHandle(out.data))


def flat(content):
    return [
        (group, state_id, key, value)
        for group, states in content.items()
        for state_id, rows in states.items()
        for key, value in rows
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_written_is_read_back(output, compressed):
    handle = write(output, CONTENT, compressed=compressed)
    assert [i for i, offset in enumerate(handle.offsets) if offset] == [3, 4, 127]
    assert list(read_canonical(output.stream, handle)) == flat(CONTENT)


def test_the_bytes_of_a_group(output):
    handle = write(output, {5: {0: [(b"\5k", b"v"), (b"\5l", b"")], 2: [(b"\5m", b"w")]}})
    body = output.data[handle.offsets[5] :]
    assert body == (
        b"\0\0\0\0\0\2\5k\0\0\0\1v\0\0\0\2\x85l\0\0\0\0\0\2\0\0\0\2\x85m\0\0\0\1w\xff\xff"
    )
    assert output.data[: handle.offsets[5]] == write_keyed_header(header())


@pytest.mark.parametrize("compressed", [False, True])
def test_a_range_of_key_groups_can_be_read(output, compressed):
    handle = write(output, CONTENT, compressed=compressed)
    wanted = {4: CONTENT[4]}
    assert list(read_canonical(output.stream, handle, (4, 126))) == flat(wanted)
    assert list(read_canonical(output.stream, handle, (5, 100))) == []


def test_blocks_and_writes_are_of_bounded_size(output):
    handle = write(output, CONTENT)
    assert max(output.writes[:-3]) < 2 << 20
    blocks = list(CanonicalReader(output.stream, handle).blocks())
    sizes = [sum(len(k) + len(v) for k, v in block.entries) for block in blocks]
    assert max(sizes) < 3 << 20
    assert len(blocks) > 5


def test_one_state_may_be_written_in_pieces(output, make_output):
    rows = entries(1, 10)
    writer = CanonicalWriter(output, header(), 0, 3)
    writer.begin_key_group(1)
    writer.write_entries(0, [])
    writer.write_entries(1, iter(rows[:4]))
    writer.write_entries(1, iter([]))
    writer.write_entries(1, iter(rows[4:]))
    offsets = writer.finish()
    other = make_output()
    assert write(other, {1: {1: rows}}, last=3).offsets == offsets
    assert output.data == other.data


def test_an_empty_stream_has_a_header_only(output):
    handle = write(output, {}, first=64, last=127)
    assert handle.offsets == (0,) * 64
    assert output.data == write_keyed_header(header())
    assert list(read_canonical(output.stream, handle)) == []


def test_long_lengths_are_written(output):
    handle = write(output, {0: {0: [(b"\0" + b"k" * 70_000, b"v" * 300), (b"\0z", b"")]}})
    assert [len(k) for _, _, k, _ in read_canonical(output.stream, handle)] == [70_001, 2]


def test_key_groups_ascend(output):
    writer = CanonicalWriter(output, header(), 10, 20)
    writer.begin_key_group(12)
    for group in (12, 11, 21):
        with pytest.raises(FormatError, match="ascend"):
            writer.begin_key_group(group)


def test_states_must_be_in_the_header(output):
    writer = CanonicalWriter(output, header(), 0, 3)
    with pytest.raises(FormatError, match="No key group was begun"):
        writer.write_entries(0, entries(0, 1))
    writer.begin_key_group(0)
    for state_id in (-1, 3):
        with pytest.raises(FormatError, match="no state has this id"):
            writer.write_entries(state_id, entries(0, 1))


@pytest.mark.parametrize("key", [b"", b"\x80k"])
def test_keys_start_with_their_group(output, key):
    writer = CanonicalWriter(output, header(), 0, 3)
    writer.begin_key_group(0)
    writer.write_entries(0, [(key, b"")])
    with pytest.raises(FormatError, match="does not start with its key group"):
        writer.finish()


def test_a_stream_starts_its_file(output):
    output.write(b"x")
    with pytest.raises(FormatError, match="starts its file"):
        CanonicalWriter(output, header(), 0, 3)


class TooLong(bytes):
    def __len__(self):
        return 1 << 31


def test_values_of_more_than_2_gib_are_refused(output):
    writer = CanonicalWriter(output, header(), 0, 3)
    writer.begin_key_group(0)
    with pytest.raises(FormatError, match="2\\^31-1") as error:
        writer.write_entries(0, [(b"\0k", TooLong()), (b"\0l", b"")])
    assert "native savepoint" in str(error.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_a_named_error(output, compressed):
    content = {3: {0: entries(3, 3), 2: entries(3, 1)}, 7: {1: entries(7, 2)}}
    handle = write(output, content, compressed=compressed)
    data = output.data
    for size in range(handle.offsets[3], len(data)):
        with pytest.raises(FormatError):
            list(read_canonical(io.BytesIO(data[:size]), handle))


@pytest.mark.parametrize("compressed", [False, True])
def test_every_flipped_byte_ends_in_entries_or_a_named_error(output, compressed):
    content = {3: {0: entries(3, 2), 2: entries(3, 1)}, 7: {1: entries(7, 2)}}
    handle = write(output, content, compressed=compressed)
    data = output.data
    wrong = 0
    for at in range(handle.offsets[3], len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        try:
            found = list(read_canonical(io.BytesIO(bytes(damaged)), handle))
        except FormatError:
            wrong += 1
        else:
            assert len(found) <= 6
    # Compressed bytes have checksums: nothing that is damaged goes unnoticed.
    assert wrong == len(data) - handle.offsets[3] if compressed else wrong > 20


def test_overlapping_key_groups_are_refused(output):
    handle = write(output, {3: {0: entries(3, 2)}, 4: {0: entries(4, 2)}})
    offsets = list(handle.offsets)
    offsets[4] = offsets[3]
    overlapping = KeyGroupsHandle(0, tuple(offsets), handle.stream)
    with pytest.raises(FormatError, match="overlap"):
        list(read_canonical(output.stream, overlapping))
    offsets[3] = 5
    with pytest.raises(FormatError, match="overlap"):
        list(read_canonical(output.stream, KeyGroupsHandle(0, tuple(offsets), handle.stream)))


def test_gaps_between_key_groups_are_refused(output):
    handle = write(output, {3: {0: entries(3, 2)}})
    end = len(output.data)
    output.stream.seek(end)
    gap = bytes(3 << 20)
    output.write(gap + output.data[handle.offsets[3] : end])
    offsets = list(handle.offsets)
    offsets[9] = end + len(gap)
    moved = KeyGroupsHandle(0, tuple(offsets), handle.stream)
    with pytest.raises(FormatError, match="leave a gap"):
        list(read_canonical(output.stream, moved))


def test_without_cramjam_compressed_state_asks_for_it(output, monkeypatch):
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(MissingDependencyError, match=r"millpond\[snappy\]"):
        write(output, CONTENT, compressed=True)


def test_frames_hold_64_kib_and_stay_plain_if_not_worthwhile():
    zeros = bytes(200_000)
    stream = io.BytesIO(b"".join(frames(zeros)))
    assert len(stream.getvalue()) < 20_000
    assert [len(read_frame(stream)) for _ in range(4)] == [65536, 65536, 65536, 3392]
    (small,) = frames(b"abc")
    assert small[0] == 1
    assert read_frame(io.BytesIO(small)) == b"abc"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x02\x04\0\0abcd", "Unknown kind"),
        (b"\0\1\0\0a", "Impossible size"),
        (b"\xff\x06\0\0sNaPpY", "ends inside"),
        (b"\0\x08\0\0" + b"crc0" + b"\xff\xff\xff\x7f", "too large"),
        (b"\0\x08\0\0" + b"crc0" + b"\x04abc", "damaged"),
        (b"\x01\x08\0\0" + b"crc0" + b"\x04abc", "checksum"),
        (b"\0\0", "ends inside"),
    ],
)
def test_damaged_frames_are_named(data, message):
    with pytest.raises(FormatError, match=message):
        read_frame(io.BytesIO(data))


def test_padding_between_frames_is_skipped():
    (frame,) = frames(b"abc")
    assert read_frame(io.BytesIO(b"\xfe\x03\0\0..." + frame)) == b"abc"
