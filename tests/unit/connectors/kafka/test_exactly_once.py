"""The exactly-once sink: a process that dies at any call loses nothing and repeats nothing."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("confluent_kafka")

import msgspec
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.clock import ManualClock
from millpond.common.serialization import SimpleStringSchema
from millpond.datastream.connectors import DeliveryGuarantee
from millpond.datastream.connectors._kafka import transaction
from millpond.datastream.connectors._kafka.sink import KafkaSink, KafkaSinkSettings
from millpond.datastream.connectors._kafka.transaction import note_group
from millpond.datastream.connectors.kafka import KafkaRecordSerializationSchema
from millpond.datastream.connectors.sink import SinkWriterContext
from millpond.errors import ConnectorError

from .fake_kafka import Cluster, FakeClients, FakeReaders, Killed

_CODEC = msgspec.msgpack


class Job:
    """The subtasks of one sink, their checkpoints, and what is durable of them.

    As the sink operators do it: committables of checkpoints that are not complete are in the next
    one too, and those of a restored checkpoint are committed before anything is written.
    """

    def __init__(self, cluster, guarantee=DeliveryGuarantee.EXACTLY_ONCE, select=None):
        self.cluster = cluster
        self.guarantee = guarantee
        builder = KafkaRecordSerializationSchema.builder()
        builder = builder.set_topic("out") if select is None else builder.set_topic_selector(select)
        self.serializer = builder.set_value_serialization_schema(SimpleStringSchema()).build()
        self.names = (f"epoch-{number}" for number in itertools.count())
        self.checkpoint = []
        self.read = 0
        self.durable_read = 0

    def start(self, parallelism, deal=None):
        """Begin an attempt; `deal` says which subtask commits which restored committable."""
        self.cluster.dead = False
        self.read = self.durable_read
        settings = KafkaSinkSettings(self.serializer, self.guarantee, "job")
        clients = FakeClients(self.cluster)
        self.sinks = [
            KafkaSink(clients, settings, new_name=lambda: next(self.names))
            for _ in range(parallelism)
        ]
        restored = [_CODEC.decode(each) for each in self.checkpoint]
        self.writers = []
        self.pending = [[] for _ in range(parallelism)]
        for subtask, sink in enumerate(self.sinks):
            dealt = [
                c for i, c in enumerate(restored) if (deal or _in_turn)(i) % parallelism == subtask
            ]
            if dealt:
                sink.commit(dealt)
            context = SinkWriterContext(
                "a" * 32, subtask, parallelism, 0, ManualClock(0), None, True
            )
            self.writers.append(sink.create_writer(context, ()))

    def write(self, count):
        """Read the next numbers of the input and write them, each by its subtask."""
        for number in range(self.read, self.read + count):
            self.writers[number % len(self.writers)].write([str(number)], None)
        self.read += count

    def take_checkpoint(self, *, complete=True, commit=True):
        """Take a checkpoint, which may fail to be complete, or whose notification may be lost."""
        for pending, writer in zip(self.pending, self.writers, strict=True):
            pending.extend(writer.prepare_commit(end_of_input=False))
        if not complete:
            return
        self.checkpoint = [_CODEC.encode(c) for each in self.pending for c in each]
        self.durable_read = self.read
        if commit:
            for subtask, sink in enumerate(self.sinks):
                if self.pending[subtask]:
                    sink.commit(self.pending[subtask])
                self.pending[subtask] = []


def _in_turn(index):
    return index


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(transaction, "Clients", FakeReaders(cluster))
    return cluster


def _run(job, parallelisms):
    """Write twelve numbers over three checkpoints, in as many processes as it takes."""
    for parallelism in itertools.cycle(parallelisms):
        try:
            job.start(parallelism)
            while job.durable_read < 12:
                job.write(4)
                job.take_checkpoint()
        except Killed:
            continue
        return


def _calls_of_a_calm_run(monkeypatch):
    calm = Cluster()
    monkeypatch.setattr(transaction, "Clients", FakeReaders(calm))
    _run(Job(calm), [2])
    return calm.calls


@pytest.mark.parametrize("parallelisms", [[1], [2], [2, 1], [1, 3]], ids=str)
@pytest.mark.parametrize("where", ["die_before", "die_after"])
def test_a_death_at_any_call_loses_and_repeats_nothing(monkeypatch, parallelisms, where):
    calls = _calls_of_a_calm_run(monkeypatch)
    assert calls > 30
    for call in range(1, calls + 1):
        cluster = Cluster()
        setattr(cluster, where, call)
        monkeypatch.setattr(transaction, "Clients", FakeReaders(cluster))
        _run(Job(cluster), parallelisms)
        assert sorted(_visible(cluster)) == list(range(12))
        assert not cluster.open


def _visible(cluster):
    return [int(value) for _, _, value in cluster.visible]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),  # parallelism of the attempt
            st.integers(0, 60),  # calls until it dies; 0: it lives to its last step
            st.lists(
                st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=5
            ),
            st.permutations(range(8)),  # who commits which restored committable
        ),
        max_size=6,
    )
)
def test_any_sequence_of_attempts_writes_each_number_once(attempts):
    cluster = Cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "Clients", FakeReaders(cluster))
        job = Job(cluster)
        for parallelism, calls, steps, order in attempts:
            cluster.die_after = cluster.calls + calls if calls else None
            try:
                job.start(parallelism, lambda index, order=order: order[index % 8])
                for count, complete, commit in steps:
                    job.write(count)
                    job.take_checkpoint(complete=complete, commit=commit)
            except Killed:
                pass
        cluster.die_after = None
        job.start(1)
        assert sorted(_visible(cluster)) == list(range(job.durable_read))


def test_nothing_is_visible_before_the_checkpoint_is_complete(cluster):
    job = Job(cluster)
    job.start(1)
    job.write(3)
    job.take_checkpoint(complete=False)
    assert _visible(cluster) == []
    assert not cluster.open
    job.take_checkpoint()
    assert _visible(cluster) == [0, 1, 2]


def test_the_order_of_a_subtask_is_kept(cluster):
    job = Job(cluster)
    job.start(1)
    for _ in range(3):
        job.write(3)
        job.take_checkpoint()
    assert _visible(cluster) == list(range(9))


def test_a_new_job_with_the_same_prefix_is_not_taken_for_the_old_one(cluster):
    first = Job(cluster)
    first.start(1)
    first.write(2)
    first.take_checkpoint()
    second = Job(cluster)
    second.names = iter(["another life"])
    second.start(1)
    second.write(2)
    second.take_checkpoint()
    assert _visible(cluster) == [0, 1, 0, 1]


def test_a_process_that_was_thought_dead_cannot_write(cluster):
    old = Job(cluster)
    old.start(1)
    old.write(2)
    old.take_checkpoint()
    old.write(2)
    old.take_checkpoint(commit=False)
    new = Job(cluster)
    new.names = iter(["another life"])
    new.checkpoint, new.durable_read = old.checkpoint, old.durable_read
    new.start(1)
    with pytest.raises(ConnectorError, match="Another producer has taken over"):
        old.sinks[0].commit(old.pending[0])
    assert _visible(cluster) == [0, 1, 2, 3]


def test_a_commit_that_failed_is_tried_again_in_the_same_process(cluster, monkeypatch):
    job = Job(cluster)
    job.start(1)
    job.write(2)
    job.take_checkpoint(commit=False)
    producers = []
    opened = FakeClients.producer

    def failing(self, on_error=None, **properties):
        producer = opened(self, on_error, **properties)
        producers.append(producer)
        if len(producers) == 1:
            producer.flush = _timed_out
        return producer

    monkeypatch.setattr(FakeClients, "producer", failing)
    with pytest.raises(KafkaException):
        job.sinks[0].commit(job.pending[0])
    job.sinks[0].commit(job.pending[0])
    job.sinks[0].commit(job.pending[0])
    assert _visible(cluster) == [0, 1]


def _timed_out(timeout=-1):
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def test_a_note_that_the_brokers_forgot_stops_the_job(cluster):
    job = _forgotten(cluster)
    with pytest.raises(ConnectorError, match=r"has forgotten which transactions.*AT_LEAST_ONCE"):
        job.start(1)
    assert _visible(cluster) == [0, 1]


def test_at_least_once_writes_what_an_exactly_once_checkpoint_holds(cluster):
    job = _forgotten(cluster)
    job.guarantee = DeliveryGuarantee.AT_LEAST_ONCE
    job.start(1)
    assert _visible(cluster) == [0, 1, 2, 3]


def _forgotten(cluster):
    job = Job(cluster)
    job.start(1)
    for commit in (True, False):
        job.write(2)
        job.take_checkpoint(commit=commit)
    cluster.offsets.clear()
    return job


def test_foreign_offsets_in_the_group_of_notes_are_named(cluster):
    cluster.offsets[note_group("job-0"), "out"] = (7, "mine")
    job = Job(cluster)
    job.start(1)
    job.write(1)
    with pytest.raises(ConnectorError, match=r"are not its own.*group: millpond-job-0"):
        job.take_checkpoint()


def test_a_topic_that_is_not_there_is_refused_before_the_checkpoint(cluster):
    job = Job(cluster, select=lambda value: "elsewhere")
    job.start(1)
    with pytest.raises(ConnectorError, match=r"topic: elsewhere\] Create the topic first"):
        job.write(1)


def test_a_record_that_is_too_large_is_refused_before_the_checkpoint(cluster):
    job = Job(cluster)
    job.start(1)
    with pytest.raises(ConnectorError, match=r"A record of 1000001 bytes.*max.request.size"):
        job.writers[0].write(["x" * 1_000_001], None)


def test_many_records_are_several_transactions(cluster):
    job = Job(cluster)
    job.start(1)
    job.writers[0].write(["7" * 900_000] * 20, None)
    committables = job.writers[0].prepare_commit(end_of_input=False)
    assert [each["number"] for each in committables] == [1, 2]
    assert sum(len(each["records"]) for each in committables) == 20


def test_records_of_several_topics_share_one_note(cluster):
    cluster.topics |= {"even", "odd"}
    job = Job(cluster, select=lambda value: "odd" if int(value) % 2 else "even")
    job.start(1)
    for _ in range(3):
        job.write(3)
        job.take_checkpoint()
    assert [topic for topic, _, _ in cluster.visible] == ["even", "odd", "even", "odd"] * 2 + [
        "even"
    ]
    assert set(cluster.offsets) == {(note_group("job-0"), "even")}
