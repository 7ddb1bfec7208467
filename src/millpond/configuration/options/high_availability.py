"""Options of high availability: how a new process finds the job without being told."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = ("CLUSTER_ID", "MODE", "OPTIONS", "STORAGE_DIRECTORY")

_key = ConfigOptions.key

MODE = (
    _key("high-availability.type")
    .string_type()
    .default_value("NONE")
    .with_deprecated_keys("high-availability", "recovery.mode")
    .with_description(
        "Anything but `NONE` and `standalone`: the job has a fixed id and goes on by itself from "
        "its latest completed checkpoint. ZooKeeper and Kubernetes are not asked: files serve."
    )
)
STORAGE_DIRECTORY = (
    _key("high-availability.storageDir")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("high-availability.zookeeper.storageDir", "recovery.zookeeper.storageDir")
    .with_description(
        "Directory of the pointers to the latest completed checkpoints, and of the checkpoints of "
        "the job manager storage where those have no other; required with high availability."
    )
)
CLUSTER_ID = (
    _key("high-availability.cluster-id")
    .string_type()
    .default_value("/default")
    .with_deprecated_keys(
        "high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"
    )
    .with_description("Names the job; its id is made from it, as in Flink's application mode.")
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(MODE, "the job's id, and whether it goes on where an earlier process ended"),
    works(STORAGE_DIRECTORY, "where the pointers are"),
    works(CLUSTER_ID, "the job's id, and the directory below the storage directory"),
)
