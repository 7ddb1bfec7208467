"""PyFlink's name of the runtime mode."""

from __future__ import annotations

from millpond.configuration.options.execution import RuntimeExecutionMode

__all__ = ("RuntimeExecutionMode",)
