"""Keys of Flink that configure what Millpond does not have: clusters, web servers, tables."""

from __future__ import annotations

__all__ = ("prefixes_and_reasons", "reason_for")

_CLUSTER = "Millpond has no cluster"
_REASONS = {
    "jobmanager.": _CLUSTER,
    "taskmanager.": "the worker is a plain Python process on this machine",
    "resourcemanager.": _CLUSTER,
    "cluster.": _CLUSTER,
    "slotmanager.": _CLUSTER,
    "heartbeat.": _CLUSTER,
    "high-availability": _CLUSTER,
    "kubernetes.": _CLUSTER,
    "yarn.": _CLUSTER,
    "zookeeper.": _CLUSTER,
    "akka.": "job manager and worker do not talk through Akka",
    "pekko.": "job manager and worker do not talk through Pekko",
    "blob.": "programs are not shipped between machines",
    "classloader.": "there are no Java classes",
    "env.": "there is no Java virtual machine",
    "java.": "there is no Java virtual machine",
    "historyserver.": "there is no history server",
    "jobstore.": _CLUSTER,
    "rest.": "no web server of Millpond reads it",
    "web.": "no web server of Millpond reads it",
    "security.": "there is no cluster to log in to",
    "queryable-state.": "Flink 2 dropped queryable state",
    "table.": "Millpond has no Table API",
    "sql-client.": "Millpond has no SQL client",
    "fs.": "file systems take their settings from fsspec and its environment variables",
    "s3.": "file systems take their settings from fsspec and its environment variables",
    "pipeline.jars": "there are no Java classes",
    "pipeline.classpaths": "there are no Java classes",
    "pipeline.serialization-config": "types are declared in the program",
    "execution.target": "the program runs in the process that starts it",
    "execution.attached": "the program runs in the process that starts it",
    "execution.shutdown-on-attached-exit": "the program runs in the process that starts it",
    "execution.batch.": "there is no batch scheduler",
    "process.working-dir": "temporary directories are set by `io.tmp.dirs`",
}


def reason_for(key: str) -> str | None:
    """Return why Flink's key does nothing in Millpond, or None for a key that is not Flink's."""
    return next((reason for prefix, reason in _REASONS.items() if key.startswith(prefix)), None)


def prefixes_and_reasons() -> tuple[tuple[str, str], ...]:
    """Return every start of a key that does nothing in Millpond, and why."""
    return tuple(_REASONS.items())
