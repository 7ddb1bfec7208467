"""PyFlink's `pyflink.common`: types, rows, times, watermark strategies, configuration, jobs.

The names are loaded when they are first used, so that `import millpond` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.common.completable_future import CompletableFuture
    from millpond.common.config_options import ConfigOption, ConfigOptions
    from millpond.common.configuration import Configuration
    from millpond.common.execution_config import ExecutionConfig
    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.common.job_id import JobID
    from millpond.common.job_status import JobStatus
    from millpond.common.restart_strategy import RestartStrategies, RestartStrategyConfiguration
    from millpond.common.serialization import (
        ByteArraySchema,
        DeserializationSchema,
        Encoder,
        RowFieldExtractorSchema,
        SerializationSchema,
        SimpleStringSchema,
    )
    from millpond.common.serializer import TypeSerializer, VoidNamespaceSerializer
    from millpond.common.time import Duration, Instant, Time
    from millpond.common.typeinfo import TypeInformation, Types
    from millpond.common.types import Row, RowKind
    from millpond.common.watermark_strategy import (
        TimestampAssigner,
        WatermarkGenerator,
        WatermarkOutput,
        WatermarkStrategy,
    )

__all__ = (
    "ByteArraySchema",
    "CompletableFuture",
    "ConfigOption",
    "ConfigOptions",
    "Configuration",
    "DeserializationSchema",
    "Duration",
    "Encoder",
    "ExecutionConfig",
    "Instant",
    "JobClient",
    "JobExecutionResult",
    "JobID",
    "JobStatus",
    "RestartStrategies",
    "RestartStrategyConfiguration",
    "Row",
    "RowFieldExtractorSchema",
    "RowKind",
    "SerializationSchema",
    "SimpleStringSchema",
    "Time",
    "TimestampAssigner",
    "TypeInformation",
    "TypeSerializer",
    "Types",
    "VoidNamespaceSerializer",
    "WatermarkGenerator",
    "WatermarkOutput",
    "WatermarkStrategy",
)

_MODULES = {
    "completable_future": ("CompletableFuture",),
    "config_options": ("ConfigOption", "ConfigOptions"),
    "configuration": ("Configuration",),
    "execution_config": ("ExecutionConfig",),
    "job_client": ("JobClient",),
    "job_execution_result": ("JobExecutionResult",),
    "job_id": ("JobID",),
    "job_status": ("JobStatus",),
    "restart_strategy": ("RestartStrategies", "RestartStrategyConfiguration"),
    "serialization": (
        "ByteArraySchema",
        "DeserializationSchema",
        "Encoder",
        "RowFieldExtractorSchema",
        "SerializationSchema",
        "SimpleStringSchema",
    ),
    "serializer": ("TypeSerializer", "VoidNamespaceSerializer"),
    "time": ("Duration", "Instant", "Time"),
    "typeinfo": ("TypeInformation", "Types"),
    "types": ("Row", "RowKind"),
    "watermark_strategy": (
        "TimestampAssigner",
        "WatermarkGenerator",
        "WatermarkOutput",
        "WatermarkStrategy",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
