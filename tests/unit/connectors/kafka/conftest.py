"""A Kafka cluster in this process: librdkafka's mock, on loopback."""

from __future__ import annotations

import pytest


class MockCluster:
    """Topics appear with four partitions when they are first named."""

    def __init__(self):
        from confluent_kafka import Producer

        self._cluster = Producer(
            {
                "bootstrap.servers": "replaced",
                "test.mock.num.brokers": 1,
                "log_level": 0,
            }
        )
        brokers = self._cluster.list_topics(timeout=30).brokers.values()
        self.servers = ",".join(f"{each.host}:{each.port}" for each in brokers)

    def client(self, kind, **properties):
        return kind({"bootstrap.servers": self.servers, "log_level": 0, **properties})

    def write(self, topic, values, partition=0, timestamps=None, keys=None):
        """Append values to a partition."""
        from confluent_kafka import Producer

        producer = self.client(Producer)
        for index, value in enumerate(values):
            producer.produce(
                topic,
                value if value is None else str(value).encode(),
                keys[index] if keys else None,
                partition,
                timestamp=timestamps[index] if timestamps else 1000 + index,
            )
        assert producer.flush(30) == 0
        producer.close()

    def read(self, topic):
        """Return all (partition, key, value, timestamp) of a topic."""
        from confluent_kafka import Consumer, TopicPartition

        properties = {"enable.partition.eof": True, "fetch.wait.max.ms": 20, "group.id": "reader"}
        consumer = self.client(Consumer, **properties)
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found, ended = [], set()
        while len(ended) < len(partitions):
            for message in consumer.consume(1000, timeout=1):
                if message.error() is not None:
                    assert message.error().name() == "_PARTITION_EOF"
                    ended.add(message.partition())
                    continue
                timestamp = message.timestamp()[1]
                found.append((message.partition(), message.key(), message.value(), timestamp))
        consumer.close()
        return found

    def committed(self, group, topic, partition=0):
        """Return the group's committed offset, None without one."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = self.client(Consumer, **{"group.id": group})
        answer = consumer.committed([TopicPartition(topic, partition)], timeout=30)[0]
        consumer.close()
        return answer.offset if answer.offset >= 0 else None


@pytest.fixture(scope="session")
def mock_cluster():
    pytest.importorskip("confluent_kafka")
    return MockCluster()


@pytest.fixture
def topic(request, mock_cluster):
    """Return the name of a topic that only this test uses."""
    import hashlib

    return "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
