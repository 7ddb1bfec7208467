"""The user's functions: PyFlink's names, and Java Flink's functions that take part in checkpoints.

The results of flat map and process functions are what they yield or return; None means nothing.
"""

from __future__ import annotations

from millpond.datastream._functions.asynchronous import (
    AsyncFunction,
    AsyncFunctionDescriptor,
    AsyncRetryPredicate,
    AsyncRetryStrategy,
)
from millpond.datastream._functions.broadcast import (
    BaseBroadcastProcessFunction,
    BroadcastProcessFunction,
    KeyedBroadcastProcessFunction,
)
from millpond.datastream._functions.checkpointed import (
    CheckpointedFunction,
    CheckpointListener,
    FunctionInitializationContext,
    FunctionSnapshotContext,
)
from millpond.datastream._functions.function import (
    Function,
    JavaFunctionWrapper,
    KeyedStateStore,
    RuntimeContext,
)
from millpond.datastream._functions.join import (
    CoGroupFunction,
    FlatJoinFunction,
    JoinFunction,
    ProcessJoinFunction,
)
from millpond.datastream._functions.process import (
    CoProcessFunction,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    ProcessFunction,
)
from millpond.datastream._functions.record import (
    AggregateFunction,
    CoFlatMapFunction,
    CoMapFunction,
    FilterFunction,
    FlatMapFunction,
    KeySelector,
    MapFunction,
    NullByteKeySelector,
    Partitioner,
    ReduceFunction,
)
from millpond.datastream._functions.source_sink import SinkFunction, SourceFunction
from millpond.datastream._functions.window import (
    AllWindowFunction,
    PassThroughAllWindowFunction,
    PassThroughWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    WindowFunction,
)
from millpond.datastream._functions.wrapper import (
    FilterFunctionWrapper,
    FlatMapFunctionWrapper,
    FunctionWrapper,
    KeySelectorFunctionWrapper,
    MapFunctionWrapper,
    PartitionerFunctionWrapper,
    ReduceFunctionWrapper,
)
from millpond.datastream.timerservice import TimerService

__all__ = (
    "AggregateFunction",
    "AllWindowFunction",
    "AsyncFunction",
    "AsyncFunctionDescriptor",
    "AsyncRetryPredicate",
    "AsyncRetryStrategy",
    "BaseBroadcastProcessFunction",
    "BroadcastProcessFunction",
    "CheckpointListener",
    "CheckpointedFunction",
    "CoFlatMapFunction",
    "CoGroupFunction",
    "CoMapFunction",
    "CoProcessFunction",
    "FilterFunction",
    "FilterFunctionWrapper",
    "FlatJoinFunction",
    "FlatMapFunction",
    "FlatMapFunctionWrapper",
    "Function",
    "FunctionInitializationContext",
    "FunctionSnapshotContext",
    "FunctionWrapper",
    "JavaFunctionWrapper",
    "JoinFunction",
    "KeySelector",
    "KeySelectorFunctionWrapper",
    "KeyedBroadcastProcessFunction",
    "KeyedCoProcessFunction",
    "KeyedProcessFunction",
    "KeyedStateStore",
    "MapFunction",
    "MapFunctionWrapper",
    "NullByteKeySelector",
    "Partitioner",
    "PartitionerFunctionWrapper",
    "PassThroughAllWindowFunction",
    "PassThroughWindowFunction",
    "ProcessAllWindowFunction",
    "ProcessFunction",
    "ProcessJoinFunction",
    "ProcessWindowFunction",
    "ReduceFunction",
    "ReduceFunctionWrapper",
    "RuntimeContext",
    "SinkFunction",
    "SourceFunction",
    "TimerService",
    "WindowFunction",
)
