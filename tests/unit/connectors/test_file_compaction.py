"""Finished parts of a `FileSink` combined before they become visible; crashes are elsewhere."""

import pytest

from millpond.datastream import RuntimeExecutionMode, StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import (
    BucketAssigner,
    BulkWriterFactory,
    FileCompactor,
    FileCompactStrategy,
    FileSink,
    OutputFileConfig,
    RollingPolicy,
)
from millpond.errors import ConfigurationError, ConnectorError
from millpond.filesystem import get_file_system


class First(BucketAssigner):
    """The first letter is the bucket."""

    def get_bucket_id(self, element, timestamp, processing_time_ms):
        return element[0]


_CONCAT = FileCompactor.concat_file_compactor()


def _encode(value):
    return f"{value}\n".encode()


def _every(checkpoints):
    return FileCompactStrategy.builder().enable_compaction_on_checkpoint(checkpoints).build()


def _from(size_bytes):
    return FileCompactStrategy.builder().set_size_threshold(size_bytes).build()


def _builder(directory):
    policy = RollingPolicy.on_checkpoint_rolling_policy()
    return FileSink.for_row_format(directory, _encode).with_rolling_policy(policy)


def _sink(directory, strategy, compactor=_CONCAT):
    return _builder(directory).enable_compact(strategy, compactor).build()


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def _visible(directory):
    return [
        path.read_text() for path in sorted(directory.iterdir()) if not path.name.startswith(".")
    ]


def _checkpoint(sink, writer, *values, end=False):
    writer.write(list(values), None)
    committables = writer.prepare_commit(end_of_input=end)
    elements = writer.snapshot(1)
    sink.commit(committables)
    return elements


def test_parts_of_so_many_checkpoints_become_one(tmp_path, writer_context):
    sink = _sink(tmp_path, _every(2))
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a")
    (name,) = _names(tmp_path)
    assert name.startswith(".uncompacted-part-")
    _checkpoint(sink, writer, "b")
    (name,) = _names(tmp_path)
    assert name.startswith("compacted-part-")
    assert _visible(tmp_path) == ["a\nb\n"]
    _checkpoint(sink, writer, "c")
    assert _visible(tmp_path) == ["a\nb\n"]
    _checkpoint(sink, writer, "d", end=True)
    assert _visible(tmp_path) == ["a\nb\n", "c\nd\n"]
    assert len(_names(tmp_path)) == 2


def test_parts_of_a_bucket_become_one_when_they_are_large_enough(tmp_path, writer_context):
    sink = _sink(tmp_path, _from(6))
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "aaa")
    assert _visible(tmp_path) == []
    _checkpoint(sink, writer, "b")
    assert _visible(tmp_path) == ["aaa\nb\n"]
    # Large enough alone: it is renamed, not copied.
    _checkpoint(sink, writer, "cccccc")
    assert _visible(tmp_path) == ["aaa\nb\n", "cccccc\n"]


def test_buckets_are_combined_for_themselves(tmp_path, writer_context):
    builder = _builder(tmp_path).with_bucket_assigner(First())
    sink = builder.enable_compact(_every(2), _CONCAT).build()
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a1", "b1")
    _checkpoint(sink, writer, "a2", "b2")
    assert _visible(tmp_path / "a") == ["a1\na2\n"]
    assert _visible(tmp_path / "b") == ["b1\nb2\n"]


def test_a_delimiter_stands_between_parts(tmp_path, writer_context):
    sink = _sink(tmp_path, _every(3), FileCompactor.concat_file_compactor(b"--\n"))
    writer = sink.create_writer(writer_context(), ())
    for value in "abc":
        _checkpoint(sink, writer, value)
    assert _visible(tmp_path) == ["a\n--\nb\n--\nc\n"]


def test_the_identical_compactor_leaves_parts_alone(tmp_path, writer_context):
    sink = _sink(tmp_path, _every(2), FileCompactor.identical_file_compactor())
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a")
    _checkpoint(sink, writer, "b")
    assert _visible(tmp_path) == ["a\n", "b\n"]
    assert all(name.startswith("compacted-part-") for name in _names(tmp_path))


def test_prefix_and_suffix_stay(tmp_path, writer_context):
    config = OutputFileConfig.builder().with_part_prefix("p").with_part_suffix(".txt").build()
    builder = _builder(tmp_path).with_output_file_config(config)
    sink = builder.enable_compact(_every(1), _CONCAT).build()
    _checkpoint(sink, sink.create_writer(writer_context(), ()), "a")
    (name,) = _names(tmp_path)
    assert name.startswith("compacted-p-")
    assert name.endswith("-0.txt")


def _waiting(directory, writer_context):
    sink = _sink(directory, _every(9))
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a")
    elements = _checkpoint(sink, writer, "b")
    writer.close()
    return elements


def test_waiting_parts_are_combined_after_a_restore(tmp_path, writer_context):
    elements = _waiting(tmp_path, writer_context)
    sink = _sink(tmp_path, _every(1))
    writer = sink.create_writer(writer_context(restored=1, attempt=1), elements)
    _checkpoint(sink, writer, "c")
    assert _visible(tmp_path) == ["a\nb\nc\n"]
    assert len(_names(tmp_path)) == 1


def test_waiting_parts_become_visible_when_nothing_is_combined_any_more(tmp_path, writer_context):
    elements = _waiting(tmp_path, writer_context)
    sink = _builder(tmp_path).enable_compact(_every(1), _CONCAT).disable_compact().build()
    writer = sink.create_writer(writer_context(restored=1, attempt=1), elements)
    _checkpoint(sink, writer, "c")
    assert sorted(_visible(tmp_path)) == ["a\n", "b\n", "c\n"]
    assert all(name.startswith("part-") for name in _names(tmp_path))


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_waiting_part_that_is_gone_or_changed_is_an_error(tmp_path, writer_context, damage):
    elements = _waiting(tmp_path, writer_context)
    part = next(tmp_path.iterdir())
    part.unlink() if damage == "gone" else part.write_bytes(b"")
    with pytest.raises(ConnectorError, match="waits to be combined is gone or was changed"):
        _sink(tmp_path, _every(1)).create_writer(writer_context(restored=1, attempt=1), elements)


def test_a_part_that_changes_while_it_waits_is_an_error(tmp_path, writer_context):
    sink = _sink(tmp_path, _every(2))
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a")
    (part,) = tmp_path.iterdir()
    part.write_bytes(b"longer than before")
    with pytest.raises(ConnectorError, match="has 18 bytes where the checkpoint says 2"):
        _checkpoint(sink, writer, "b")
    assert _visible(tmp_path) == []


def test_parts_behind_a_url_are_combined(writer_context):
    url = "memory://compaction/out"
    sink = _sink(url, _every(2))
    writer = sink.create_writer(writer_context(), ())
    _checkpoint(sink, writer, "a")
    _checkpoint(sink, writer, "b")
    file_system, path = get_file_system(url)
    (entry,) = file_system.list(path)
    assert file_system.read_bytes(entry.path) == b"a\nb\n"


@pytest.mark.parametrize("mode", [RuntimeExecutionMode.BATCH, RuntimeExecutionMode.STREAMING])
def test_a_job_leaves_one_file_a_subtask(tmp_path, mode):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_runtime_mode(mode).set_parallelism(2)
    small = RollingPolicy.default_rolling_policy(part_size=20)
    sink = (
        FileSink.for_row_format(tmp_path, _encode)
        .with_rolling_policy(small)
        .enable_compact(_from(1 << 20), _CONCAT)
        .build()
    )
    env.from_collection(range(3000)).rebalance().map(str).sink_to(sink)
    env.execute()
    contents = _visible(tmp_path)
    assert len(contents) == 2
    assert sorted("".join(contents).split(), key=int) == [str(number) for number in range(3000)]
    assert len(_names(tmp_path)) == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FileCompactStrategy.builder().build(), "needs a size threshold or a number"),
        (lambda: _every(0), "must be at least 1"),
        (lambda: FileCompactStrategy.builder().set_num_compact_threads(0), "must be at least 1"),
        (
            lambda: FileSink.for_bulk_format("x", _Bulk()).enable_compact(_every(1), _CONCAT),
            "bulk format cannot be appended",
        ),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    with pytest.raises(ConfigurationError, match=message):
        build()


class _Bulk(BulkWriterFactory):
    def create(self, stream):
        raise AssertionError("never opened")


def test_builders_have_the_names_of_pyflink():
    builder = FileCompactStrategy.Builder()
    assert isinstance(FileCompactStrategy.builder(), FileCompactStrategy.Builder)
    strategy = builder.set_size_threshold(5).set_num_compact_threads(2).build()
    assert (strategy.size_threshold_bytes, strategy.compact_threads) == (5, 2)
    FileSink.for_bulk_format("x", _Bulk()).enable_compact(
        strategy, FileCompactor.identical_file_compactor()
    )
