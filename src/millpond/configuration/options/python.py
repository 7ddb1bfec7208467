"""Options of PyFlink's Python workers; Millpond has no second process that they would shape."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.configuration.registered_option import RegisteredOption, without_meaning

__all__ = ("OPTIONS",)

_key = ConfigOptions.key

_NO_BUNDLES = "functions run in the engine's own process, so records need no bundles"
_NO_WORKER = "functions run in the engine's own process; there is no Python worker beside it"
_NO_REMOTE_STATE = "state is in the function's own process, so reads and writes need no batching"

OPTIONS: tuple[RegisteredOption, ...] = (
    without_meaning(
        _key("python.fn-execution.bundle.size").int_type().default_value(1000),
        _NO_BUNDLES,
        default_in_1_12="100000",
    ),
    without_meaning(
        _key("python.fn-execution.bundle.time").long_type().default_value(1000), _NO_BUNDLES
    ),
    without_meaning(
        _key("python.fn-execution.arrow.batch.size").int_type().default_value(1000),
        _NO_BUNDLES,
        default_in_1_12="10000",
    ),
    without_meaning(
        _key("python.fn-execution.memory.managed").boolean_type().default_value(True), _NO_WORKER
    ),
    without_meaning(
        _key("python.execution-mode").string_type().default_value("process"),
        _NO_WORKER,
        since="1.15",
    ),
    without_meaning(
        _key("python.operator-chaining.enabled").boolean_type().default_value(True),
        "`pipeline.operator-chaining.enabled` decides for all operators",
        since="1.14",
    ),
    without_meaning(_key("python.executable").string_type().default_value("python"), _NO_WORKER),
    without_meaning(
        _key("python.client.executable").string_type().default_value("python"), _NO_WORKER
    ),
    *(
        without_meaning(_key(key).int_type().default_value(1000), _NO_REMOTE_STATE)
        for key in (
            "python.state.cache-size",
            "python.map-state.read-cache-size",
            "python.map-state.write-cache-size",
            "python.map-state.iterate-response-batch-size",
        )
    ),
)
