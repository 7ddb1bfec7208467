import io

import pytest

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer
from millpond.formats.handles import (
    DistributionMode,
    InlineHandle,
    OperatorStateHandle,
    OperatorStatePartition,
)
from millpond.formats.operator_state import (
    OperatorStateHeader,
    read_operator_state,
    read_operator_state_header,
    write_operator_state,
    write_operator_state_header,
)
from millpond.formats.pyflink_serializers import broadcast_state_meta, operator_list_state_meta

LISTS = {"offsets": [b"a", b"", b"c" * 100_000], "empty": [], "union": [b"u"]}
BROADCASTS = {"python-state-rules": [(b"k", b"v"), (b"l", b"")], "python-state-none": []}


def header(*, compressed=False):
    return OperatorStateHeader(
        (
            operator_list_state_meta("offsets"),
            operator_list_state_meta("empty"),
            operator_list_state_meta("union", union=True),
        ),
        (broadcast_state_meta("rules", "MAP<STRING, LONG>"), broadcast_state_meta("none")),
        compressed,
    )


def write(out, *, compressed=False):
    partitions = write_operator_state(out, header(compressed=compressed), LISTS, BROADCASTS)
    return OperatorStateHandle(partitions, InlineHandle(out.data))


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_written_is_read_back(output, compressed):
    handle = write(output, compressed=compressed)
    content = read_operator_state(output.stream, handle)
    assert content.header == header(compressed=compressed)
    assert content.lists == LISTS
    assert content.broadcasts == BROADCASTS
    modes = {name: partition.mode for name, partition in handle.partitions.items()}
    assert modes["offsets"] is DistributionMode.SPLIT
    assert modes["union"] is DistributionMode.UNION
    assert modes["python-state-none"] is DistributionMode.BROADCAST


def test_the_bytes_of_the_body(output):
    handle = write(output)
    body = len(write_operator_state_header(header()))
    assert handle.partitions["offsets"].offsets == (body, body + 5, body + 9)
    assert output.data[body : body + 9] == b"\0\0\0\1a\0\0\0\0"
    (offset,) = handle.partitions["python-state-rules"].offsets
    assert output.data[offset : offset + 22] == b"\0\0\0\2\0\0\0\1k\0\0\0\1v\0\0\0\1l\0\0\0\0"[:22]


def test_offsets_of_compressed_state_are_positions_of_chunks(output):
    handle = write(output, compressed=True)
    first = handle.partitions["offsets"].offsets[0]
    assert first == len(write_operator_state_header(header(compressed=True))) + 10


def test_version_5_has_no_compression_flag():
    data = write_operator_state_header(header())
    old = b"\0\0\0\5" + data[5:]
    assert read_operator_state_header(Buffer(old)) == header()
    with pytest.raises(FormatError, match="Unknown version"):
        read_operator_state_header(Buffer(b"\0\0\0\4" + data[4:]))


def test_states_without_any_element_are_read_back(output):
    # As a job leaves them whose lists are all empty.
    only_lists = OperatorStateHeader((operator_list_state_meta("empty"),))
    partitions = write_operator_state(output, only_lists, {"empty": []}, {})
    handle = OperatorStateHandle(partitions, InlineHandle(output.data))
    assert read_operator_state(output.stream, handle).lists == {"empty": []}


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_a_named_error(output, compressed):
    handle = write(output, compressed=compressed)
    data = output.data
    for size in range(0, len(data), 7 if compressed else 997):
        with pytest.raises(FormatError):
            read_operator_state(io.BytesIO(data[:size]), handle)
    with pytest.raises(FormatError):
        read_operator_state(io.BytesIO(data[:-1]), handle)


def test_elements_do_not_share_bytes(output):
    handle = write(output)
    at = handle.partitions["offsets"].offsets[0]
    shared = OperatorStateHandle(
        {"offsets": OperatorStatePartition(DistributionMode.SPLIT, (at, at))}, handle.stream
    )
    with pytest.raises(FormatError, match="overlap"):
        read_operator_state(output.stream, shared)


def test_a_listed_state_must_be_there(output):
    handle = write(output)
    other = OperatorStateHandle({"other": handle.partitions["offsets"]}, handle.stream)
    with pytest.raises(FormatError, match="other states than are listed"):
        read_operator_state(output.stream, other)


def test_a_stream_starts_its_file(output):
    output.write(b"x")
    with pytest.raises(FormatError, match="starts its file"):
        write(output)
