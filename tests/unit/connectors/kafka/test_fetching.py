"""How one consumer feeds the readers of several partitions, step by step."""

from __future__ import annotations

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import KafkaError, KafkaException

from millpond.clock import ManualClock
from millpond.common.serialization import SimpleStringSchema
from millpond.datastream.connectors._kafka import fetcher as fetcher_module
from millpond.datastream.connectors._kafka.client import Clients
from millpond.datastream.connectors._kafka.fetcher import Fetcher
from millpond.datastream.connectors._kafka.split_reader import PartitionReader
from millpond.datastream.connectors.kafka import KafkaTopicPartition
from millpond.errors import ConnectorError


class Message:
    def __init__(self, offset, value=b"x", partition=0, error=None):
        self._offset, self._value, self._partition, self._error = offset, value, partition, error

    def __len__(self):
        return len(self._value or b"")

    def offset(self):
        return self._offset

    def value(self):
        return self._value

    def topic(self):
        return "t"

    def partition(self):
        return self._partition

    def timestamp(self):
        return 1, 1000 + self._offset

    def error(self):
        return self._error


def end(offset, partition=0):
    return Message(offset, partition=partition, error=KafkaError(KafkaError._PARTITION_EOF))


class Consumer:
    """Gives what a test put into `coming`."""

    def __init__(self):
        self.coming, self.calls, self.high, self.on_error = [], [], 0, None

    def consume(self, count, timeout):
        assert timeout == 0
        coming, self.coming = self.coming[:count], self.coming[count:]
        return coming

    def get_watermark_offsets(self, name, cached):
        return 0, self.high

    def __getattr__(self, name):
        return lambda *arguments, **named: self.calls.append((name, arguments, named))

    def names(self):
        return [name for name, *_ in self.calls]


@pytest.fixture
def consumer(monkeypatch):
    consumer = Consumer()

    def opened(self, on_error=None, **properties):
        consumer.on_error = on_error
        return consumer

    monkeypatch.setattr(Clients, "consumer", opened)
    return consumer


@pytest.fixture
def fetcher(consumer):
    return Fetcher(Clients({}))


@pytest.fixture
def clock():
    return ManualClock(0)


@pytest.fixture
def make(fetcher, clock):
    def make(stop=None, bounded=False, start=0, partition=0):
        fetched = fetcher.open(KafkaTopicPartition("t", partition), start)
        return PartitionReader(
            fetcher, fetched, SimpleStringSchema(), start, stop, clock, fetcher.close,
            bounded=bounded,
        )  # fmt: skip

    return make


def offsets(records):
    return [timestamp - 1000 for timestamp in records.timestamps]


def test_a_batch_waits_for_what_the_broker_has(make, consumer, clock):
    reader = make()
    consumer.high = 5
    consumer.coming = [Message(0), Message(1)]
    assert reader.read(5) is None
    consumer.coming = [Message(n) for n in range(2, 8)]
    assert offsets(reader.read(5)) == [0, 1, 2, 3, 4]
    assert reader.position()["next"] == 5


def test_the_high_watermark_is_the_end(make, consumer):
    reader = make()
    consumer.high = 2
    consumer.coming = [Message(0), Message(1)]
    assert offsets(reader.read(5)) == [0, 1]


def test_an_end_behind_the_marks_of_transactions_is_one(make, consumer):
    reader = make()
    consumer.high = 4
    consumer.coming = [Message(0), Message(1), end(4)]
    assert offsets(reader.read(5)) == [0, 1]


def test_what_never_comes_is_not_waited_for_for_ever(make, consumer, clock):
    reader = make()
    consumer.high = 4
    consumer.coming = [Message(0)]
    assert reader.read(5) is None
    clock.advance(99)
    assert reader.read(5) is None
    clock.advance(1)
    assert offsets(reader.read(5)) == [0]


def test_a_bounded_reader_waits_for_full_batches_always(make, consumer, clock):
    reader = make(stop=3, bounded=True)
    consumer.coming = [Message(0), end(1)]
    assert reader.read(2) is None
    clock.advance(10_000)
    assert reader.read(2) is None
    consumer.coming = [Message(1), Message(2), Message(3)]
    assert offsets(reader.read(2)) == [0, 1]
    assert offsets(reader.read(2)) == [2]
    assert reader.finished
    assert reader.position() == {"next": 3, "stop": 3}
    assert reader.read(2) is None


def test_offsets_may_be_missing_before_the_stop(make, consumer):
    reader = make(stop=5, bounded=True)
    consumer.coming = [Message(0), Message(7)]
    assert offsets(reader.read(4)) == [0]
    assert reader.finished
    assert reader.position()["next"] == 5


def test_a_partition_may_end_with_marks(make, consumer):
    reader = make(stop=3, bounded=True)
    consumer.coming = [Message(0), end(3)]
    assert offsets(reader.read(4)) == [0]
    assert reader.finished


def test_an_empty_partition_is_finished_at_once(make):
    assert make(stop=4, start=4).finished


def test_a_full_buffer_is_paused_until_it_is_read(make, consumer, monkeypatch):
    monkeypatch.setattr(fetcher_module, "_FULL_MESSAGES", 3)
    quiet, busy = make(partition=0), make(partition=1)
    consumer.coming = [Message(n, partition=1) for n in range(4)]
    assert quiet.read(2) is None
    quiet.read(2)
    assert consumer.names().count("pause") == 1
    assert offsets(busy.read(2)) == [0, 1]
    assert offsets(busy.read(2)) == [2, 3]
    assert "resume" not in consumer.names()
    assert busy.read(2) is None
    assert consumer.names().count("resume") == 1


def test_large_messages_are_paused_by_their_bytes(make, consumer, fetcher, monkeypatch):
    monkeypatch.setattr(fetcher_module, "_FULL_BYTES", 100)
    reader = make()
    consumer.coming = [Message(0, b"x" * 60), Message(1, b"x" * 60)]
    fetcher.poll()
    assert "pause" in consumer.names()
    consumer.high = 2
    reader.read(9)
    assert reader._fetched.size_bytes == 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, r"partition: t-0\] Create the topic first"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, r"partition: t-0\] Give the user the right"),
        (KafkaError._AUTO_OFFSET_RESET, r"partition: t-0\].*KafkaOffsetResetStrategy"),
    ],
)
def test_errors_of_a_partition_are_named(make, consumer, code, message):
    reader = make()
    consumer.coming = [Message(0, error=KafkaError(code))]
    with pytest.raises(ConnectorError, match=message):
        reader.read(1)


def test_a_failed_login_ends_reading_and_a_lost_connection_does_not(make, consumer, caplog):
    reader = make()
    consumer.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert reader.read(1) is None
    assert "_ALL_BROKERS_DOWN" in caplog.text
    consumer.on_error(KafkaError(KafkaError._AUTHENTICATION))
    with pytest.raises(ConnectorError, match=r"Kafka cannot be read.*sasl\.\* properties"):
        reader.read(1)


def test_a_partition_that_cannot_be_assigned_is_named(fetcher, consumer):
    def fail(partitions):
        raise KafkaException(KafkaError(KafkaError._FATAL))

    consumer.incremental_assign = fail
    with pytest.raises(ConnectorError, match=r"Reading cannot begin.*partition: t-3"):
        fetcher.open(KafkaTopicPartition("t", 3), 0)


def test_messages_of_a_closed_partition_are_dropped(make, consumer, fetcher):
    reader, other = make(partition=0), make(partition=1)
    reader.close()
    consumer.coming = [Message(0, partition=0), Message(0, partition=1)]
    consumer.high = 1
    assert offsets(other.read(5)) == [0]
    other.close()
    assert fetcher.is_idle


def test_failures_to_commit_offsets_are_logged(caplog):
    Clients.log_commit(None, [])
    assert caplog.text == ""
    Clients.log_commit(KafkaError(KafkaError._TRANSPORT), [])
    assert "could not be committed" in caplog.text
