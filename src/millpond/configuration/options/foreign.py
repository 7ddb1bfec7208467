"""Keys of Flink that configure what Millpond does not have: clusters, web servers, tables."""

from __future__ import annotations

__all__ = ("prefixes_and_reasons", "reason_for")

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "files in high-availability.storageDir take the place of ZooKeeper and Kubernetes",
        ("high-availability.",),
    ),
    (
        "Millpond has no cluster",
        (
            "jobmanager.",
            "jobstore.",
            "resourcemanager.",
            "cluster.",
            "client.",
            "slotmanager.",
            "slot.",
            "heartbeat.",
            "kubernetes.",
            "yarn.",
            "zookeeper.",
            "historyserver.",
            "external-resource",
            "blob.",
            "security.",
        ),
    ),
    (
        "the worker is a plain Python process on this machine",
        (
            "taskmanager.bind-",
            "taskmanager.cpu.",
            "taskmanager.data.",
            "taskmanager.debug.",
            "taskmanager.exit-on-",
            "taskmanager.heap.",
            "taskmanager.host",
            "taskmanager.jvm-exit-on-oom",
            "taskmanager.load-balance.",
            "taskmanager.log.",
            "taskmanager.memory.framework.",
            "taskmanager.memory.jvm-",
            "taskmanager.memory.task.",
            "taskmanager.network.",
            "taskmanager.registration.",
            "taskmanager.resource-id",
            "taskmanager.rpc.",
            "taskmanager.runtime.",
            "taskmanager.slot.",
            "process.working-dir",
            "akka.",
            "pekko.",
            "plugin.",
        ),
    ),
    (
        "there is no Java virtual machine",
        (
            "classloader.",
            "env.",
            "java.",
            "pipeline.classpaths",
            "pipeline.default-kryo-serializers",
            "pipeline.jars",
            "pipeline.registered-",
            "pipeline.serialization-config",
        ),
    ),
    (
        "the program runs in the process that starts it",
        (
            "$internal.",
            "execution.allow-client-job-configurations",
            "execution.attached",
            "execution.batch.",
            "execution.program-config",
            "execution.shutdown-on-",
            "execution.submit-failed-job-on-",
            "execution.target",
            "python.archives",
            "python.files",
            "python.pythonpath",
            "python.requirements",
            "python.systemenv",
        ),
    ),
    ("the web server of `millpond dashboard` does not read it", ("rest.", "web.")),
    ("the names and scopes of metrics are fixed", ("metrics.",)),
    ("there is no ForSt store; RocksDB is the one for large state", ("state.backend.forst.",)),
    (
        "file systems take their settings from fsspec and its environment variables",
        ("fs.", "s3.", "s3a.", "hadoop."),
    ),
    ("Flink 2 dropped queryable state", ("queryable-state.",)),
    ("Millpond has no Table API", ("table.", "sql-client.", "sql-gateway.", "compiler.")),
)
_REASONS = {prefix: reason for reason, prefixes in _GROUPS for prefix in prefixes}


def reason_for(key: str) -> str | None:
    """Return why Flink's key does nothing in Millpond, or None for a key that is not Flink's."""
    return next((reason for prefix, reason in _REASONS.items() if key.startswith(prefix)), None)


def prefixes_and_reasons() -> tuple[tuple[str, str], ...]:
    """Return every start of a key that does nothing in Millpond, and why."""
    return tuple(_REASONS.items())
