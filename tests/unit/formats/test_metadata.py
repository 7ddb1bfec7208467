import dataclasses
import struct

import pytest

from millpond.errors import FormatError
from millpond.formats.buffer import BufferWriter
from millpond.formats.handles import (
    CheckpointMetadata,
    DistributionMode,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    KeyGroupsHandle,
    MasterState,
    OperatorState,
    OperatorStateHandle,
    OperatorStatePartition,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.formats.metadata import read_metadata, write_metadata

INLINE = InlineHandle(b"0123456789", "name")
KEYED = KeyGroupsHandle(0, (0, 5, 10), INLINE, savepoint=True)
HEAP = KeyGroupsHandle(0, (3, 4, 5), FileHandle("file:/x/y", 99), savepoint=False)
INCREMENTAL = IncrementalHandle(
    7,
    "2f1b4b5e-0000-4000-8000-000000000001",
    3,
    3,
    RelativeFileHandle("meta", 12),
    (("000008.sst", FileHandle("s3://bucket/shared/1", 1000)),),
    (("CURRENT", InlineHandle(b"MANIFEST-000004\n")),),
    1012,
)
OPERATOR_STATE = OperatorStateHandle(
    {
        "offsets": OperatorStatePartition(DistributionMode.SPLIT, (1, 2, 3)),
        "everyone": OperatorStatePartition(DistributionMode.UNION, ()),
        "rules": OperatorStatePartition(DistributionMode.BROADCAST, (4,)),
    },
    INLINE,
)
OPERATOR = OperatorState(
    bytes(range(16)),
    2,
    6,
    {
        0: SubtaskState(OPERATOR_STATE, None, (KEYED,), (dataclasses.replace(HEAP, raw=True),)),
        1: SubtaskState(None, OPERATOR_STATE, (INCREMENTAL,)),
    },
    InlineHandle(b"coordinator"),
)
METADATA = CheckpointMetadata(
    42,
    (
        OPERATOR,
        OperatorState(b"f" * 16, 3, 3, {}, fully_finished=True),
        OperatorState(b"g" * 16, 2, 2, {1: SubtaskState(finished=True)}),
    ),
    (MasterState("hook", 1, b"data"),),
)


def with_operator(**changes):
    return CheckpointMetadata(1, (dataclasses.replace(OPERATOR, **changes),))


def test_what_is_written_is_read_back():
    assert read_metadata(write_metadata(METADATA)) == METADATA


def test_the_same_metadata_gives_the_same_bytes():
    assert write_metadata(METADATA) == write_metadata(METADATA)


def test_later_versions_have_names_and_properties():
    out = BufferWriter()
    for version in (4, 5, 6):
        out = BufferWriter()
        out.int32(0x4960672D)
        out.int32(version)
        out.int64(3)
        out.int32(0)
        out.int32(1)
        if version >= 5:
            out.utf("name")
            out.utf("my-uid")
        out.raw(bytes.fromhex("8409efe6adc6d20787611f16017c808f"))
        out.int32(1)
        out.int32(128)
        out.uint8(0)
        out.int32(0)
        out.raw(b"\xac\xed\x00\x05rest")
        metadata = read_metadata(out.to_bytes())
        assert metadata.version == version
        assert metadata.properties == b"\xac\xed\x00\x05rest"
        assert metadata.operators[0].name == ("name" if version >= 5 else "")
        assert metadata.operators[0].uid == ("my-uid" if version >= 5 else "")


def test_version_2_has_neither_coordinators_nor_channels():
    out = BufferWriter()
    for number in (0x4960672D, 2):
        out.int32(number)
    out.int64(3)
    for number in (0, 1):
        out.int32(number)
    out.raw(b"i" * 16)
    for number in (1, 128, 1, 1, 0):
        out.int32(number)
    out.int64(-1)
    for number in (0, 0, 0):
        out.int32(number)
    out.uint8(0)
    out.uint8(0)
    metadata = read_metadata(out.to_bytes())
    assert metadata.operators == (OperatorState(b"i" * 16, 1, 128, {0: SubtaskState()}),)
    with pytest.raises(FormatError, match=r"Flink 1\.1"):
        read_metadata(out.to_bytes()[:-14] + struct.pack(">iii", 1, 0, 0) + b"\0\0")


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"not metadata at all"])
def test_another_file_is_refused(data):
    with pytest.raises(FormatError, match="no Flink metadata"):
        read_metadata(data)


@pytest.mark.parametrize("version", [1, 7, -1])
def test_unknown_versions_are_refused(version):
    with pytest.raises(FormatError, match="version"):
        read_metadata(struct.pack(">Ii", 0x4960672D, version) + bytes(100))


def test_every_truncation_is_a_named_error():
    data = write_metadata(METADATA)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read_metadata(data[:size])


def test_trailing_bytes_are_an_error_in_version_3():
    with pytest.raises(FormatError, match="left after"):
        read_metadata(write_metadata(METADATA) + b"\0")


def test_a_subtask_has_one_handle_of_each_kind():
    several = {0: SubtaskState(keyed_managed=(KEYED, KEYED))}
    with pytest.raises(FormatError, match="one keyed-state handle"):
        write_metadata(with_operator(subtasks=several))


def test_an_operator_id_has_16_bytes():
    with pytest.raises(FormatError, match="16 bytes"):
        write_metadata(with_operator(operator_id=b"short"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parallelism": 0}, "Impossible parallelism"),
        ({"parallelism": 200}, "Impossible parallelism"),
        ({"max_parallelism": 40000}, "Impossible parallelism"),
        ({"max_parallelism": 7}, "not those that it owns"),
        ({"max_parallelism": 3}, "not those that it owns"),
        ({"parallelism": 3}, "not those that it owns"),
        ({"subtasks": {5: SubtaskState()}}, "subtask index"),
        (
            {
                "subtasks": {
                    0: SubtaskState(keyed_managed=(dataclasses.replace(KEYED, offsets=(0, 11, 0)),))
                }
            },
            "outside of the state stream",
        ),
        (
            {
                "subtasks": {
                    0: SubtaskState(keyed_managed=(dataclasses.replace(KEYED, first_key_group=-1),))
                }
            },
            "Impossible range",
        ),
        ({"coordinator": FileHandle("file:/x", 1)}, "not inline"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(FormatError, match=message):
        read_metadata(write_metadata(with_operator(**changes)))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", "a\\b"])
def test_relative_files_stay_in_the_directory(name):
    handle = dataclasses.replace(HEAP, stream=RelativeFileHandle(name, 9))
    data = write_metadata(with_operator(subtasks={0: SubtaskState(keyed_managed=(handle,))}))
    with pytest.raises(FormatError, match="leads out of the snapshot"):
        read_metadata(data)


def test_raw_keyed_state_is_no_database():
    data = write_metadata(with_operator(subtasks={1: SubtaskState(keyed_raw=(INCREMENTAL,))}))
    with pytest.raises(FormatError, match="no RocksDB database"):
        read_metadata(data)


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "."])
def test_local_names_are_plain(name):
    handle = dataclasses.replace(INCREMENTAL, shared=((name, INLINE),))
    data = write_metadata(with_operator(subtasks={1: SubtaskState(keyed_managed=(handle,))}))
    with pytest.raises(FormatError, match="no plain name"):
        read_metadata(data)


def test_an_operator_is_listed_once():
    with pytest.raises(FormatError, match="listed twice"):
        read_metadata(write_metadata(CheckpointMetadata(1, (OPERATOR, OPERATOR))))


@pytest.mark.parametrize(
    ("kind", "message"),
    [(8, "changelog"), (13, "changelog"), (77, "Unknown kind of keyed")],
)
def test_keyed_state_that_cannot_be_read_is_named(kind, message):
    data = write_metadata(with_operator(subtasks={0: SubtaskState(keyed_managed=(HEAP,))}))
    at = data.index(b"\0\0\0\0\0\0\0\0\3") + 8
    with pytest.raises(FormatError, match=message):
        read_metadata(data[:at] + bytes([kind]) + data[at + 1 :])


@pytest.mark.parametrize(("kind", "message"), [(15, "merged"), (16, "merged"), (3, "Unknown kind")])
def test_streams_that_cannot_be_read_are_named(kind, message):
    data = write_metadata(with_operator(subtasks={}))
    at = data.index(b"\1\0\0\0\0\0\x0bcoordinator")
    with pytest.raises(FormatError, match=message):
        read_metadata(data[:at] + bytes([kind]) + data[at + 1 :])


def test_in_flight_data_is_refused():
    data = write_metadata(
        CheckpointMetadata(1, (OperatorState(b"g" * 16, 1, 1, {0: SubtaskState()}),))
    )
    with pytest.raises(FormatError, match="unaligned"):
        read_metadata(data[:-8] + b"\0\0\0\1" + data[-4:])


def test_properties_are_a_java_object():
    data = bytearray(write_metadata(METADATA))
    data[7] = 4
    with pytest.raises(FormatError, match="no serialized Java object"):
        read_metadata(bytes(data))
    assert read_metadata(bytes(data) + b"\xac\xed\0\5").version == 4


def test_an_id_is_that_of_the_uid():
    data = bytearray(write_metadata(CheckpointMetadata(1, (OperatorState(b"g" * 16, 1, 1, {}),))))
    data[7] = 6
    data[24:24] = b"\0\0\0\3uid"
    with pytest.raises(FormatError, match="not that of its uid"):
        read_metadata(bytes(data) + b"\xac\xed\0\5")


@pytest.mark.parametrize("at", [0, 4])
def test_flags_of_operator_state_are_0_or_1(at):
    data = bytearray(
        write_metadata(
            CheckpointMetadata(1, (OperatorState(b"g" * 16, 1, 1, {0: SubtaskState()}),))
        )
    )
    # Two flags of operator state, two keyed-state handles, two numbers of channels.
    data[len(data) - 18 + at + 3] = 2
    with pytest.raises(FormatError, match="neither said"):
        read_metadata(bytes(data))
    data[len(data) - 18 + at + 3] = 1
    with pytest.raises(FormatError, match="is not"):
        read_metadata(bytes(data))


def test_handles_of_newer_flink_carry_an_id():
    data = write_metadata(with_operator(subtasks={0: SubtaskState(keyed_managed=(HEAP,))}))
    at = data.index(b"\0\0\0\0\0\0\0\0\3") + 8
    end = data.index(b"file:/x/y") + 9
    newer = data[:at] + b"\x0c" + data[at + 1 : end] + b"\0\2id" + data[end:]
    (handle,) = read_metadata(newer).operators[0].subtasks[0].keyed_managed
    assert handle == HEAP
