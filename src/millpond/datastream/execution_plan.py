"""`execution_plan`: a program as JSON, in the form of Flink's plan visualizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.transformation import Edge, Transformation

__all__ = ("execution_plan",)


def execution_plan(transformations: Sequence[Transformation], parallelism: int) -> str:
    """Return operators, their parallelism (`parallelism` where none is set) and what they read."""
    nodes = [
        {
            "id": transformation.transformation_id,
            "type": transformation.name,
            "pact": "Data Source" if not transformation.inputs else "Operator",
            "contents": transformation.description or transformation.name,
            "parallelism": transformation.parallelism or parallelism,
            "predecessors": [
                {
                    "id": edge.source.transformation_id,
                    "ship_strategy": _strategy_name(edge),
                    "side": "second",
                }
                for edge in transformation.inputs
            ],
        }
        for transformation in transformations
    ]
    import json

    return json.dumps({"nodes": nodes}, indent=2)


def _strategy_name(edge: Edge) -> str:
    if edge.partitioning is None:
        return "FORWARD"
    return type(edge.partitioning).__name__.removesuffix("Partitioning").upper()
