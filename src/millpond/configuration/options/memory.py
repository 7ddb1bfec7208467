"""Options of a worker's memory, its slots and the cancellation of tasks."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.execution_options import CANCELLATION_INTERVAL, CANCELLATION_TIMEOUT
from millpond.common.option_range import positive
from millpond.configuration.registered_option import RegisteredOption, without_meaning, works

__all__ = (
    "CONSUMER_WEIGHTS",
    "FLINK_MEMORY_SIZE",
    "MANAGED_MEMORY_FRACTION",
    "MANAGED_MEMORY_SIZE",
    "NUMBER_OF_SLOTS",
    "OPTIONS",
    "PROCESS_MEMORY_SIZE",
)

_key = ConfigOptions.key
_PREFIX = "taskmanager.memory."

NUMBER_OF_SLOTS = positive(
    _key("taskmanager.numberOfTaskSlots")
    .int_type()
    .default_value(1)
    .with_description("Slots of a worker; managed memory is divided among them.")
)
PROCESS_MEMORY_SIZE = positive(
    _key(_PREFIX + "process.size")
    .memory_type()
    .no_default_value()
    .with_description("Memory of the whole worker process.")
)
FLINK_MEMORY_SIZE = positive(
    _key(_PREFIX + "flink.size")
    .memory_type()
    .no_default_value()
    .with_description("Memory of the worker process without the runtime's own overhead.")
)
MANAGED_MEMORY_SIZE = (
    _key(_PREFIX + "managed.size")
    .memory_type()
    .no_default_value()
    .with_deprecated_keys("taskmanager.memory.size")
    .with_description("Managed memory of a worker; unset: the fraction.")
)
MANAGED_MEMORY_FRACTION = (
    _key(_PREFIX + "managed.fraction")
    .float_type()
    .default_value(0.4)
    .with_description("Share of managed memory in the worker's memory.")
    .with_constraint("at least 0 and less than 1", lambda value: 0 <= value < 1)
)


def _are_weights(weights: dict[str, str]) -> bool:
    return all(weight.strip().isascii() and weight.strip().isdigit() for weight in weights.values())


CONSUMER_WEIGHTS = (
    _key(_PREFIX + "managed.consumer-weights")
    .map_type()
    .default_value({"OPERATOR": "70", "STATE_BACKEND": "70", "PYTHON": "30"})
    .with_description(
        "Weights by which the managed memory of a slot is divided among the kinds of consumers "
        "that the slot has; `DATAPROC` of 1.12 counts for operators and state backends."
    )
    .with_constraint("pairs of a kind and a weight of 0 and more", _are_weights)
)

_NO_NETWORK = "tasks share a process, so there are no network buffers"

OPTIONS: tuple[RegisteredOption, ...] = (
    works(NUMBER_OF_SLOTS, "managed memory of a slot is the worker's divided by this"),
    works(PROCESS_MEMORY_SIZE, "the total from which managed memory is derived"),
    works(FLINK_MEMORY_SIZE, "the same, before the process size"),
    works(MANAGED_MEMORY_SIZE, "managed memory of the worker"),
    works(MANAGED_MEMORY_FRACTION, "managed memory, where no size is set"),
    works(
        CONSUMER_WEIGHTS,
        "RocksDB's share; Python's share goes to user code and is not enforced",
        default_in_1_12="DATAPROC:70,PYTHON:30",
    ),
    *(
        without_meaning(option, _NO_NETWORK)
        for option in (
            _key(_PREFIX + "network.min")
            .memory_type()
            .default_value(64 * 1024**2)
            .with_deprecated_keys("taskmanager.network.memory.min"),
            _key(_PREFIX + "network.max")
            .memory_type()
            .default_value(2**63 - 1)
            .with_deprecated_keys("taskmanager.network.memory.max"),
            _key(_PREFIX + "network.fraction")
            .float_type()
            .default_value(0.1)
            .with_deprecated_keys("taskmanager.network.memory.fraction"),
            _key(_PREFIX + "segment-size").memory_type().default_value(32 * 1024),
        )
    ),
    *(
        without_meaning(option, "tasks are cancelled between batches; no thread is interrupted")
        for option in (CANCELLATION_INTERVAL, CANCELLATION_TIMEOUT)
    ),
)
