"""A cluster in this process whose transactions are what Kafka's are, and which may die at any call.

librdkafka's own mock cluster shows what was produced before it is committed, and forgets the
offsets that are sent with a transaction. So what rests on transactions is tested with this model:
one owner for a transactional id, a higher epoch with each `init_transactions`, records and offsets
of a transaction together or not at all.
"""

from __future__ import annotations

from types import SimpleNamespace

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition


class Killed(BaseException):
    """The process is gone: nothing in it runs any more, not even its handlers."""


class Cluster:
    """What survives: committed records, committed offsets, open transactions, owners."""

    def __init__(self):
        self.visible = []
        self.offsets = {}
        self.epochs = {}
        self.open = {}
        self.calls = 0
        self.die_before = None
        self.die_after = None
        self.dead = False
        self.topics = {"out"}

    def step(self, action=lambda: None):
        """One call that reaches the brokers; the process may die before or behind it."""
        self.calls += 1
        self.dead = self.dead or self.calls == self.die_before
        if self.dead:
            raise Killed
        result = action()
        self.dead = self.calls == self.die_after
        if self.dead:
            raise Killed
        return result


class FakeClients:
    """Stands in for `Clients`."""

    def __init__(self, cluster, **properties):
        self.cluster = cluster
        self.properties = properties

    def producer(self, on_error=None, **properties):
        return _Producer(self.cluster, properties)

    def consumer(self, on_error=None, **properties):
        return _Reader(self.cluster, properties["group_id"])

    def partition(self, topic, partition, offset, metadata=""):
        return TopicPartition(topic, partition, offset, metadata)

    def with_default(self, name, value):
        return self


class FakeReaders:
    """Stands in for the class `Clients` where the reader of notes is made."""

    def __init__(self, cluster):
        self._cluster = cluster

    def __call__(self, properties):
        return FakeClients(self._cluster)


class _Reader:
    def __init__(self, cluster, group):
        self._cluster, self._group = cluster, group

    def committed(self, partitions, timeout):
        def read():
            found = []
            for each in partitions:
                stored = self._cluster.offsets.get((self._group, each.topic))
                offset, metadata = stored or (-1001, "")
                found.append(TopicPartition(each.topic, 0, offset, metadata))
            return found

        return self._cluster.step(read)

    def consumer_group_metadata(self):
        return self._group

    def close(self):
        pass


class _Producer:
    def __init__(self, cluster, properties):
        self._cluster = cluster
        self._id = properties.get("transactional_id")
        self._epoch = None

    def list_topics(self, topic, timeout):
        unknown = topic not in self._cluster.topics
        error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if unknown else None
        return SimpleNamespace(
            topics={topic: SimpleNamespace(error=error, partitions={} if unknown else {0: None})}
        )

    def init_transactions(self, timeout):
        def take_over():
            self._cluster.open.pop(self._id, None)
            self._epoch = self._cluster.epochs.get(self._id, 0) + 1
            self._cluster.epochs[self._id] = self._epoch

        self._cluster.step(take_over)

    def begin_transaction(self):
        self._records, self._offsets = [], {}

    def produce(self, topic, value, key, timestamp):
        def add():
            self._check()
            self._records.append((topic, key, value))
            self._cluster.open[self._id] = self._records

        self._cluster.step(add)

    def flush(self, timeout=-1):
        self._cluster.step(self._check)
        return 0

    def poll(self, timeout):
        return 0

    def send_offsets_to_transaction(self, offsets, group, timeout):
        def send():
            self._check()
            for each in offsets:
                self._offsets[group, each.topic] = (each.offset, each.metadata)

        self._cluster.step(send)

    def commit_transaction(self, timeout):
        def commit():
            self._check()
            self._cluster.visible += self._records
            self._cluster.offsets.update(self._offsets)
            self._cluster.open.pop(self._id, None)

        self._cluster.step(commit)

    def abort_transaction(self, timeout):
        def abort():
            self._check()
            self._cluster.open.pop(self._id, None)

        self._cluster.step(abort)

    def purge(self):
        pass

    def close(self):
        pass

    def _check(self):
        if self._cluster.epochs.get(self._id) != self._epoch:
            raise KafkaException(KafkaError(confluent_kafka.KafkaError._FENCED, fatal=True))
