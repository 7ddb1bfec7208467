"""Java's properties in librdkafka's words, and the missing package."""

from __future__ import annotations

import sys

import pytest

from millpond.datastream.connectors._kafka.client import connector_error, kafka_package
from millpond.datastream.connectors._kafka.properties import property_text, translate
from millpond.errors import ConfigurationError, MissingDependencyError


@pytest.mark.parametrize(
    ("java", "translated"),
    [
        ({"group.id": "g", "linger.ms": "5"}, {"group.id": "g", "linger.ms": "5"}),
        ({"fetch.max.wait.ms": "9"}, {"fetch.wait.max.ms": "9"}),
        ({"max.request.size": "9"}, {"message.max.bytes": "9"}),
        ({"buffer.memory": "33554432"}, {"queue.buffering.max.kbytes": "32768"}),
        ({"key.deserializer": "x", "max.poll.records": "5"}, {}),
        ({"ssl.endpoint.identification.algorithm": ""},
         {"ssl.endpoint.identification.algorithm": "none"}),
        ({"ssl.truststore.type": "PEM", "ssl.truststore.location": "ca"},
         {"ssl.ca.location": "ca"}),
        ({"ssl.keystore.type": "PEM", "ssl.keystore.location": "k"},
         {"ssl.certificate.location": "k", "ssl.key.location": "k"}),
        ({"ssl.keystore.type": "pkcs12", "ssl.keystore.location": "k",
          "ssl.keystore.password": "p"},
         {"ssl.keystore.location": "k", "ssl.keystore.password": "p"}),
        ({"ssl.keystore.key": "pem"}, {"ssl.key.pem": "pem"}),
        ({"sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
          'username="me" password="a\\"b";'},
         {"sasl.username": "me", "sasl.password": 'a"b'}),
        ({"sasl.jaas.config": "x.PlainLoginModule required username='me' password='it';"},
         {"sasl.username": "me", "sasl.password": "it"}),
    ],
)  # fmt: skip
def test_properties_are_translated(java, translated):
    assert translate(java) == translated


@pytest.mark.parametrize(
    ("java", "message"),
    [
        ({"interceptor.classes": "x.Y"}, "interceptor.classes names a class of Java"),
        ({"buffer.memory": "much"}, "buffer.memory is no number"),
        ({"ssl.truststore.location": "k.jks"}, "truststore.location names a JKS .*ssl.ca.location"),
        ({"ssl.keystore.location": "k.jks"}, "keystore.location names a JKS .* PKCS12"),
    ],
)
def test_what_only_java_can_use_is_refused(java, message):
    with pytest.raises(ConfigurationError, match=message):
        translate(java)


@pytest.mark.parametrize(
    "value", ["x.PlainLoginModule required username='me';", "x.Krb5 required password='secret';"]
)
def test_a_login_that_is_not_understood_does_not_show_its_password(value):
    with pytest.raises(ConfigurationError, match=r"sasl.username and sasl.password") as raised:
        translate({"sasl.jaas.config": value})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (5, "5"), ("a", "a")]
)
def test_values_are_texts(value, text):
    assert property_text(value) == text


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'millpond\[kafka\]'"):
        kafka_package()


def test_importing_the_connector_does_not_import_the_package():
    import subprocess

    program = (
        "import sys, millpond.datastream.connectors.kafka; assert 'confluent_kafka' not in "
        "sys.modules; import millpond.datastream; print('fine')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.stdout == "fine\n", done.stderr


def test_errors_say_what_to_do():
    confluent_kafka = pytest.importorskip("confluent_kafka")
    error = confluent_kafka.KafkaError(confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED)
    text = str(connector_error("It failed", error, topic="t"))
    assert "It failed: " in text
    assert text.endswith(
        "(TOPIC_AUTHORIZATION_FAILED). [topic: t] Give the user the right to the topic."
    )
