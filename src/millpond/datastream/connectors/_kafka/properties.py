"""Translates the properties of Java's Kafka clients into those of librdkafka."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("property_text", "translate")

_RENAMED: Final = {
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    "max.request.size": "message.max.bytes",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms": "socket.connection.setup.timeout.ms",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
}
_WITHOUT_EFFECT: Final = frozenset(
    {
        "auto.include.jmx.reporter",
        "default.api.timeout.ms",
        "enable.metrics.push",
        "key.deserializer",
        "key.serializer",
        "max.block.ms",
        "max.poll.records",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "partitioner.ignore.keys",
        "register.consumer.metrics",
        "register.producer.metrics",
        "ssl.protocol",
        "value.deserializer",
        "value.serializer",
    }
)
_JAVA_CLASSES: Final = frozenset(
    {
        "group.protocol.assignor",
        "interceptor.classes",
        "metric.reporters",
        "partition.assignment.strategy",
        "partitioner.class",
        "sasl.client.callback.handler.class",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "security.providers",
        "ssl.engine.factory.class",
        "ssl.trustmanager.algorithm",
    }
)
_LOGIN: Final = re.compile(r"\s*\S*\.(Plain|Scram)LoginModule\s+required\b", re.ASCII)
_LOGIN_OPTION: Final = re.compile(r"(username|password)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)')")


def property_text(value: Any) -> str:
    """Return a value as properties spell it: True is ``true``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def translate(properties: Mapping[str, str]) -> dict[str, str]:
    """Return librdkafka's properties; what it spells as Java does is handed on.

    What has no meaning outside of Java clients is left out; classes of Java, and key stores that
    only Java reads, are refused.

    Raises:
        ConfigurationError: names the property.
    """
    translated: dict[str, str] = {}
    for name, value in properties.items():
        if name in _JAVA_CLASSES:
            raise ConfigurationError(
                f"The property {name} names a class of Java, which Millpond does not run.",
                hint="Leave it out.",
                value=value,
            )
        if name in _WITHOUT_EFFECT:
            continue
        if name == "sasl.jaas.config":
            translated.update(_login(value))
        elif name == "buffer.memory":
            translated["queue.buffering.max.kbytes"] = str(max(1, _number(name, value) // 1024))
        elif name == "ssl.endpoint.identification.algorithm":
            translated[name] = value or "none"
        elif name.startswith(("ssl.truststore.", "ssl.keystore.")) and name not in _RENAMED:
            translated.update(_store(name, value, properties))
        else:
            translated[_RENAMED.get(name, name)] = value
    return translated


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise ConfigurationError(f"The property {name} is no number.", value=value) from error


def _login(value: str) -> dict[str, str]:
    options = {
        name: (double or single).replace('\\"', '"')
        for name, double, single in _LOGIN_OPTION.findall(value)
    }
    if _LOGIN.match(value) is None or options.keys() != {"username", "password"}:
        # The value holds a password: it must not stand in a message.
        raise ConfigurationError(
            "The property sasl.jaas.config is no PlainLoginModule or ScramLoginModule with "
            "username and password.",
            hint="Set librdkafka's sasl.username and sasl.password instead.",
        )
    return {"sasl.username": options["username"], "sasl.password": options["password"]}


def _store(name: str, value: str, properties: Mapping[str, str]) -> dict[str, str]:
    kind = "truststore" if name.startswith("ssl.truststore.") else "keystore"
    format_name = properties.get(f"ssl.{kind}.type", "JKS").upper()
    if format_name == "PEM" and name.endswith(".location"):
        if kind == "truststore":
            return {"ssl.ca.location": value}
        return {"ssl.certificate.location": value, "ssl.key.location": value}
    if format_name == "PEM" or (name.endswith(".type") and format_name == "PKCS12"):
        return {}
    if kind == "keystore" and format_name == "PKCS12":
        return {name: value}
    hint = "Set ssl.ca.location to a PEM file."
    if kind == "keystore":
        hint = "Set ssl.keystore.type to PKCS12, or ssl.certificate.location and ssl.key.location."
    raise ConfigurationError(
        f"The property {name} names a {format_name} store, which only Java reads.", hint=hint
    )
