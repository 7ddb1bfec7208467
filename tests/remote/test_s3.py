"""S3 against a moto server on loopback."""

from __future__ import annotations

import itertools

import pytest

from millpond.filesystem import get_file_system

_numbers = itertools.count()


@pytest.fixture
def bucket(s3_endpoint):
    import s3fs

    name = f"millpond-{next(_numbers)}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def test_files(bucket, check_files):
    check_files(f"{bucket}/files")


def test_one_of_two_jobs_completes_a_checkpoint(bucket, check_two_jobs):
    check_two_jobs(f"{bucket}/checkpoints")


def test_the_whole_cycle_of_a_job(bucket, cycle):
    cycle(f"{bucket}/flink").play()


def test_a_large_file_is_read_in_parallel_chunks(bucket):
    from millpond.checkpoint.checksum import checksum_of
    from millpond.checkpoint.reader import SnapshotSource
    from millpond.formats.handles import RelativeFileHandle

    data = bytes(range(256)) * (9 << 12) + b"end"
    file_system, path = get_file_system(f"{bucket}/large")
    file_system.write_bytes(path, data)
    seen = []
    source = SnapshotSource(bucket, {"large": checksum_of(data)})
    with source.reader(progress=seen.append).open(RelativeFileHandle("large", len(data))) as file:
        assert file.read() == data
    assert sum(seen) == len(data)
    assert len(seen) == 3


def test_a_missing_bucket_is_an_error(s3_endpoint):
    file_system, path = get_file_system("s3://no-such-bucket/data")
    with pytest.raises(OSError, match="bucket"):
        file_system.write_bytes(path, b"x")
