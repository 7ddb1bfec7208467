"""`FileSink` without crashes: names, buckets, rolling, formats, and its errors."""

from __future__ import annotations

import pytest

from millpond.common.serialization import Encoder
from millpond.datastream.connectors._file_sink.part_name import HiddenName, Owner
from millpond.datastream.connectors.file_system import (
    BucketAssigner,
    BulkWriter,
    BulkWriterFactory,
    FileSink,
    OutputFileConfig,
    RollingPolicy,
    StreamingFileSink,
)
from millpond.errors import ConfigurationError, ConnectorError, UserCodeError
from millpond.filesystem import get_file_system


def encode(value):
    return f"{value}\n".encode()


def files(directory):
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


def visible(directory):
    return {
        name: (directory / name).read_text()
        for name in files(directory)
        if not name.rpartition("/")[2].startswith(".")
    }


def checkpoint(sink, writer, number=1, *, end=False):
    committables = writer.prepare_commit(end_of_input=end)
    elements = writer.snapshot(number)
    sink.commit(committables)
    return elements


def test_nothing_is_visible_before_the_checkpoint(tmp_path, writer_context):
    sink = (
        FileSink.for_row_format(tmp_path, encode)
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .build()
    )
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a", "b"], None)
    assert visible(tmp_path) == {}
    committables = writer.prepare_commit(end_of_input=False)
    assert visible(tmp_path) == {}
    sink.commit(committables)
    assert list(visible(tmp_path).values()) == ["a\nb\n"]
    sink.commit(committables)
    assert list(visible(tmp_path).values()) == ["a\nb\n"]
    writer.close()


def test_without_checkpointing_parts_appear_at_the_end_of_the_input(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, encode).build()
    writer = sink.create_writer(writer_context(checkpointing=False), ())
    for number in range(3):
        writer.write([number], None)
    assert visible(tmp_path) == {}
    sink.commit(writer.prepare_commit(end_of_input=True))
    writer.close()
    assert list(visible(tmp_path).values()) == ["0\n1\n2\n"]


def test_the_simple_string_encoder_writes_a_line_a_record(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, Encoder.simple_string_encoder("UTF-16-LE")).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["ä", 5, None], None)
    checkpoint(sink, writer, end=True)
    (name,) = files(tmp_path)
    assert (tmp_path / name).read_bytes().decode("UTF-16-LE") == "ä\n5\nNone\n"


def test_an_empty_job_writes_no_files(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path / "out", encode).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write([], None)
    checkpoint(sink, writer, end=True)
    assert files(tmp_path) == []


def test_part_names_carry_prefix_suffix_and_number(tmp_path, writer_context):
    config = OutputFileConfig.builder().with_part_prefix("flights").with_part_suffix(".jsonl")
    sink = (
        FileSink.for_row_format(tmp_path, encode)
        .with_output_file_config(config.build())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_bucket_check_interval(1000)
        .build()
    )
    sink._new_name = iter(["one", "two"]).__next__
    writer = sink.create_writer(writer_context(), ())
    for number in range(2):
        writer.write([number], None)
        checkpoint(sink, writer, number)
    assert files(tmp_path) == ["flights-one-0.jsonl", "flights-one-1.jsonl"]
    assert config.build().get_part_prefix() == "flights"
    assert config.build().get_part_suffix() == ".jsonl"


def test_the_size_ends_a_part(tmp_path, writer_context):
    policy = RollingPolicy.default_rolling_policy(part_size=5)
    sink = FileSink.for_row_format(tmp_path, encode).with_rolling_policy(policy).build()
    writer = sink.create_writer(writer_context(), ())
    for _ in range(7):
        writer.write(["x"], None)
    checkpoint(sink, writer, end=True)
    assert sorted(visible(tmp_path).values()) == ["x\n", "x\nx\nx\n", "x\nx\nx\n"]


@pytest.mark.parametrize(
    ("intervals", "wait_ms"),
    [({"rollover_interval": 5000}, 5000), ({"inactivity_interval": 3000}, 3000)],
)
def test_age_and_silence_end_a_part(tmp_path, writer_context, clock, intervals, wait_ms):
    policy = RollingPolicy.default_rolling_policy(**intervals)
    sink = FileSink.for_row_format(tmp_path, encode).with_rolling_policy(policy).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    clock.advance(wait_ms - 1)
    checkpoint(sink, writer, 1)
    assert visible(tmp_path) == {}
    clock.advance(1)
    checkpoint(sink, writer, 2)
    assert list(visible(tmp_path).values()) == ["a\n"]
    writer.close()


class ByEventHour(BucketAssigner):
    def get_bucket_id(self, value, timestamp, now_ms):
        return f"{value[0]}/{timestamp // 3_600_000}"


def test_buckets_by_value_and_event_time(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, encode).with_bucket_assigner(ByEventHour()).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a1", "b1", "a2", "a3"], [0, 0, 7_200_000, 1])
    checkpoint(sink, writer, end=True)
    contents = {name.rpartition("/")[0]: text for name, text in visible(tmp_path).items()}
    assert contents == {"a/0": "a1\na3\n", "a/2": "a2\n", "b/0": "b1\n"}


@pytest.mark.parametrize(
    ("pattern", "zone", "bucket"),
    [
        ("yyyy-MM-dd--HH", "UTC", "2023-11-14--22"),
        ("yyyy/MM/'day' dd''''", "Asia/Tokyo", "2023/11/day 15''"),
        ("DDD.HHmmss", "America/New_York", "318.171320"),
    ],
)
def test_date_time_buckets_use_processing_time(tmp_path, writer_context, pattern, zone, bucket):
    assigner = BucketAssigner.date_time_bucket_assigner(pattern, zone)
    sink = FileSink.for_row_format(tmp_path, encode).with_bucket_assigner(assigner).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["x"], [5])
    checkpoint(sink, writer, end=True)
    assert [name.rpartition("/")[0] for name in visible(tmp_path)] == [bucket]


@pytest.mark.parametrize("bucket", ["/etc", "a/../../b"])
def test_a_bucket_outside_of_the_directory_is_refused(tmp_path, writer_context, bucket):
    class Outside(BucketAssigner):
        def get_bucket_id(self, value, timestamp, now_ms):
            return bucket

    sink = FileSink.for_row_format(tmp_path, encode).with_bucket_assigner(Outside()).build()
    with pytest.raises(ConnectorError, match="outside"):
        sink.create_writer(writer_context(), ()).write(["x"], None)


class Framed(BulkWriterFactory):
    """A bulk format with a header, a footer and everything held back in between."""

    def create(self, stream):
        stream.write(b"<")
        return FramedWriter(stream)


class FramedWriter(BulkWriter):
    def __init__(self, stream):
        self.stream, self.values = stream, []

    def add_elements(self, values):
        self.values += values

    def finish(self):
        self.stream.write("".join(self.values).encode() + b">")
        assert self.stream.tell() == len(self.values) + 2


def test_bulk_parts_end_at_every_checkpoint(tmp_path, writer_context):
    sink = FileSink.for_bulk_format(tmp_path, Framed()).build()
    writer = sink.create_writer(writer_context(), ())
    for batch in (["a"], ["b", "c"]):
        writer.write(batch, None)
        checkpoint(sink, writer)
    assert sorted(visible(tmp_path).values()) == ["<a>", "<bc>"]
    with pytest.raises(ConfigurationError, match="every checkpoint"):
        FileSink.for_bulk_format(tmp_path, Framed()).with_rolling_policy(
            RollingPolicy.default_rolling_policy()
        )


def test_parts_behind_a_url_end_at_every_checkpoint(writer_context):
    url = "memory://test-file-sink/out"
    sink = FileSink.for_row_format(url, encode).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    elements = checkpoint(sink, writer)
    writer.write(["lost"], None)
    writer.close()
    writer = sink.create_writer(writer_context(restored=1), elements)
    writer.write(["b"], None)
    checkpoint(sink, writer, end=True)
    file_system, path = get_file_system(url)
    contents = [file_system.read_bytes(entry.path) for entry in file_system.list(path)]
    assert sorted(contents) == [b"a\n", b"b\n"]


def test_streaming_file_sink_is_the_same_under_its_old_name(tmp_path, writer_context):
    sink = StreamingFileSink.for_row_format(tmp_path, encode).build()
    assert isinstance(sink, StreamingFileSink)
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    checkpoint(sink, writer, end=True)
    assert list(visible(tmp_path).values()) == ["a\n"]


def test_hidden_files_of_others_are_left_alone(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, encode).build()
    other = sink.create_writer(writer_context(job="b" * 32), ())
    other.write(["theirs"], None)
    (tmp_path / ".keep").write_text("x")
    ours = sink.create_writer(writer_context(), ())
    ours.write(["ours"], None)
    elements = checkpoint(sink, ours)
    ours.close()
    restored = sink.create_writer(writer_context(attempt=1, restored=1), elements)
    checkpoint(sink, restored, end=True)
    checkpoint(sink, other, end=True)
    assert (tmp_path / ".keep").exists()
    assert sorted(visible(tmp_path).values()) == ["ours\n", "theirs\n"]


def interrupted(sink, writer_context):
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    elements = checkpoint(sink, writer)
    writer.close()
    return elements


def test_a_part_that_vanished_or_shrank_is_an_error(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, encode).build()
    elements = interrupted(sink, writer_context)
    part = tmp_path / files(tmp_path)[0]
    part.write_text("")
    with pytest.raises(ConnectorError, match="lost bytes"):
        sink.create_writer(writer_context(restored=1), elements)
    part.unlink()
    with pytest.raises(ConnectorError, match="is gone"):
        sink.create_writer(writer_context(restored=1), elements)


def test_committing_what_is_gone_or_changed_is_an_error(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, encode).build()
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    committables = writer.prepare_commit(end_of_input=True)
    part = tmp_path / files(tmp_path)[0]
    part.write_text("changed")
    with pytest.raises(ConnectorError, match="7 bytes where the checkpoint says 2"):
        sink.commit(committables)
    part.unlink()
    with pytest.raises(ConnectorError, match="is gone"):
        sink.commit(committables)


def test_a_directory_that_cannot_be_made_is_a_named_error(tmp_path, writer_context):
    (tmp_path / "file").write_text("")
    sink = FileSink.for_row_format(tmp_path / "file" / "out", encode).build()
    with pytest.raises(ConnectorError, match="could not be"):
        sink.create_writer(writer_context(), ())


def test_an_encoder_that_raises_is_the_users_error(tmp_path, writer_context):
    sink = FileSink.for_row_format(tmp_path, lambda value: value.encode()).build()
    writer = sink.create_writer(writer_context(), ())
    with pytest.raises(UserCodeError, match="AttributeError") as caught:
        writer.write([5], None)
    assert isinstance(caught.value.__cause__, AttributeError)
    writer.close()


@pytest.mark.parametrize(
    "build",
    [
        lambda: RollingPolicy.default_rolling_policy(part_size=0),
        lambda: OutputFileConfig("a/b", ""),
        lambda: OutputFileConfig(".hidden", ""),
        lambda: OutputFileConfig("", ""),
        lambda: BucketAssigner.date_time_bucket_assigner("yyyy-QQ"),
        lambda: BucketAssigner.date_time_bucket_assigner(timezone_id="Mars/Olympus"),
        lambda: FileSink.for_row_format("x", encode).with_bucket_check_interval(0),
    ],
)
def test_settings_out_of_range_are_refused(build):
    with pytest.raises(ConfigurationError):
        build()


@pytest.mark.parametrize("final", ["part-0", "a.inprogress.b.c-0-0", "part-x.json.gz"])
def test_hidden_names_round_trip(final):
    name = HiddenName(final, "lineage", Owner("job", 3, 7))
    assert str(name).startswith(".")
    assert HiddenName.parse(str(name)) == name


@pytest.mark.parametrize("name", ["part-0", ".part-0", ".x.inprogress.y", "a.inprogress.l.j-0-0"])
def test_other_names_are_not_hidden_parts(name):
    assert HiddenName.parse(name) is None
