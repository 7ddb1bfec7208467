"""SIGKILL between a complete checkpoint and the Kafka transaction that it leads to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

confluent_kafka = pytest.importorskip("confluent_kafka")

_JOB = Path(__file__).parent / "kafka_job.py"
_RECORDS = 500


def test_a_worker_killed_before_it_commits_loses_and_repeats_nothing(tmp_path):
    cluster = confluent_kafka.Producer(
        {"bootstrap.servers": "replaced", "test.mock.num.brokers": 1, "log_level": 0}
    )
    broker = next(iter(cluster.list_topics(timeout=30).brokers.values()))
    servers = f"{broker.host}:{broker.port}"
    file = tmp_path / "die"
    file.touch()
    settings = {
        "execution.checkpointing.dir": str(tmp_path / "checkpoints"),
        "execution.checkpointing.interval": "10 ms",
        "millpond.batch-size": "16",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.delay": "1 ms",
    }
    command = [
        sys.executable, "-c", "from millpond.cli import main; main()", "run",
        *(part for key, value in settings.items() for part in ("-D", f"{key}={value}")),
        str(_JOB), servers, "numbers", str(_RECORDS), str(file),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert not file.exists()
    assert sorted(_read(servers, "numbers")) == list(range(1, _RECORDS + 1))


def _read(servers, topic):
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
    ended, found = set(), []
    while len(ended) < len(partitions):
        for message in consumer.consume(1000, timeout=1):
            if message.error() is None:
                found.append(int(message.value()))
            else:
                ended.add(message.partition())
    consumer.close()
    return found
