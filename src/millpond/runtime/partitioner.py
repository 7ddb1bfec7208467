"""Partitioners: deal the records of a batch to the channels of an edge."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from millpond.common.row_names import row_naming
from millpond.common.typeinfo import Types
from millpond.datastream.partitioning import (
    BroadcastPartitioning,
    CustomPartitioning,
    ForwardPartitioning,
    KeyGroupPartitioning,
    Partitioning,
    RescalePartitioning,
    ShufflePartitioning,
)
from millpond.errors import InvalidProgramError, MillpondError, UserCodeError
from millpond.operators.batch import Batch
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.field_getter import field_getter, take
from millpond.serialization.key_batch import key_batch_form
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import operator_index

if TYPE_CHECKING:
    from operator import itemgetter

__all__ = ("Partition", "partitioner_for")

Partition = Callable[[Batch], Sequence[tuple[int, Batch]]]
"""Returns (channel, batch) pairs; channels that get nothing are left out."""


def partitioner_for(  # noqa: PLR0911 - one kind a line
    partitioning: Partitioning,
    *,
    source_index: int,
    source_parallelism: int,
    target_parallelism: int,
    target_max_parallelism: int,
    target: str = "",
) -> Partition:
    """Make the partitioner of one sending subtask; `target` names the receiver in errors."""
    if isinstance(partitioning, KeyGroupPartitioning):
        if target_parallelism == 1:
            return _keyed_single(partitioning, target)
        return _keyed(partitioning, target_parallelism, target_max_parallelism, target)
    if isinstance(partitioning, BroadcastPartitioning):
        return lambda batch: [(channel, batch) for channel in range(target_parallelism)]
    if isinstance(partitioning, ForwardPartitioning):
        return lambda batch: ((source_index, batch),)
    if isinstance(partitioning, CustomPartitioning):
        return _custom(partitioning, target_parallelism, target)
    if isinstance(partitioning, ShufflePartitioning):
        return _shuffle(source_index, target_parallelism)
    if isinstance(partitioning, RescalePartitioning):
        group = _rescale_group(source_index, source_parallelism, target_parallelism)
        return _in_turn(group)
    return _in_turn(range(target_parallelism))


def _user_code_error(error: Exception, what: str, target: str) -> UserCodeError:
    return UserCodeError(
        f"The {what} raised {type(error).__name__}: {error}.", operator=target or None
    )


def _selected(selector: Callable[[Any], Any], values: Sequence[Any], target: str) -> list[Any]:
    try:
        return [selector(value) for value in values]
    except MillpondError:
        raise
    except Exception as error:
        raise _user_code_error(error, "key selector", target) from error


def _keys_of(
    partitioning: KeyGroupPartitioning, target: str
) -> Callable[[Sequence[Any]], list[Any]]:
    """Return what takes the keys of a batch's values, checked and as a restore gives them."""
    selector = partitioning.key_selector
    getter = field_getter(selector)
    form = key_batch_form(partitioning.key_type, target)

    def keys_of(values: Sequence[Any]) -> list[Any]:
        keys = take(getter, values)
        if keys is None:
            keys = _selected(selector, values, target)
        return keys if form is None else form(keys)

    return keys_of


def _keyed_single(partitioning: KeyGroupPartitioning, target: str) -> Partition:
    keys_of, naming = _keys_of(partitioning, target), row_naming(partitioning.record_type)
    position = _column(field_getter(partitioning.key_selector))
    form = key_batch_form(partitioning.key_type, target)
    holds_integers = partitioning.key_type == Types.LONG()

    def partition(batch: Batch) -> Sequence[tuple[int, Batch]]:
        if (
            position is not None
            and isinstance(batch, ColumnarBatch)
            and position < len(batch.columns)
            # Floats have forms as keys that no array can hold.
            and batch.columns[position].dtype.kind != "f"
        ):
            column = batch.columns[position]
            if form is not None and not (holds_integers and column.dtype.kind == "i"):
                form(column.tolist())
            return ((0, batch.keyed_by(position)),)
        keys = keys_of(batch.values)
        values = batch.values if naming is None else [naming(value) for value in batch.values]
        return ((0, batch.keyed(keys, values)),)

    return partition


def _keyed(
    partitioning: KeyGroupPartitioning, parallelism: int, maximum: int, target: str
) -> Partition:
    keys_of, naming = _keys_of(partitioning, target), row_naming(partitioning.record_type)
    key_groups = key_serializer_for(partitioning.key_type).key_groups
    owner = [operator_index(group, maximum, parallelism) for group in range(maximum)]

    def partition(batch: Batch) -> Sequence[tuple[int, Batch]]:
        keys = keys_of(batch.values)
        targets = [owner[group] for group in key_groups(keys, maximum)]
        if naming is not None:
            batch = Batch([naming(value) for value in batch.values], batch.timestamps)
        return _deal(batch, targets, parallelism, keys)

    return partition


def _column(getter: itemgetter[Any] | None) -> int | None:
    """Return which column a getter takes; None if it takes none, or counts from the end."""
    if getter is None:
        return None
    (item,) = cast("tuple[Any]", getter.__reduce__()[1])
    return item if isinstance(item, int) and item >= 0 else None


def _custom(partitioning: CustomPartitioning, parallelism: int, target: str) -> Partition:
    choose, selector = partitioning.partition, partitioning.key_selector

    def partition(batch: Batch) -> Sequence[tuple[int, Batch]]:
        keys = _selected(selector, batch.values, target)
        try:
            targets = [choose(key, parallelism) for key in keys]
        except MillpondError:
            raise
        except Exception as error:
            raise _user_code_error(error, "custom partitioner", target) from error
        for chosen in targets:
            if not 0 <= chosen < parallelism:
                raise InvalidProgramError(
                    f"The custom partitioner returned {chosen}, but there are {parallelism} "
                    "subtasks.",
                    operator=target or None,
                )
        return _deal(batch, targets, parallelism, None)

    return partition


def _shuffle(source_index: int, parallelism: int) -> Partition:
    trickle = random.Random(source_index)  # noqa: S311 - no secret

    def partition(batch: Batch) -> Sequence[tuple[int, Batch]]:
        # Seeded anew by each batch: a run that resumes in the middle deals as the calm run did.
        # Not so the trickle of a slow stream: it would always go to the same few.
        dice = trickle
        if len(batch) >= parallelism:
            dice = random.Random(f"{source_index} {len(batch)}")  # noqa: S311 - no secret
        targets = dice.choices(range(parallelism), k=len(batch))
        return _deal(batch, targets, parallelism, None)

    return partition


def _in_turn(channels: Sequence[int]) -> Partition:
    count = len(channels)
    next_channel = 0

    def partition(batch: Batch) -> Sequence[tuple[int, Batch]]:
        nonlocal next_channel
        if count == 1:
            return ((channels[0], batch),)
        # A batch that reaches every channel starts at the first: there is no turn to remember in
        # a snapshot. The trickle of a slow stream takes turns, or the first would get it all.
        first = next_channel if len(batch) < count else 0
        next_channel = (first + len(batch)) % count
        dealt = []
        for turn in range(min(count, len(batch))):
            values = batch.values[turn::count]
            timestamps = None if batch.timestamps is None else batch.timestamps[turn::count]
            dealt.append((channels[(first + turn) % count], Batch(values, timestamps)))
        return dealt

    return partition


def _rescale_group(index: int, sources: int, targets: int) -> Sequence[int]:
    if sources >= targets:
        return (index * targets // sources,)
    return range(
        (index * targets + sources - 1) // sources, ((index + 1) * targets - 1) // sources + 1
    )


def _deal(
    batch: Batch, targets: Sequence[int], parallelism: int, keys: list[Any] | None
) -> Sequence[tuple[int, Batch]]:
    values: list[list[Any]] = [[] for _ in range(parallelism)]
    append = [part.append for part in values]
    for target, value in zip(targets, batch.values, strict=True):
        append[target](value)
    timestamps = _deal_column(batch.timestamps, targets, parallelism)
    dealt_keys = _deal_column(keys, targets, parallelism)
    return [
        (channel, Batch(values[channel], timestamps[channel], dealt_keys[channel]))
        for channel in range(parallelism)
        if values[channel]
    ]


def _deal_column(
    column: Sequence[Any] | None, targets: Sequence[int], parallelism: int
) -> list[Any]:
    if column is None:
        return [None] * parallelism
    parts: list[list[Any]] = [[] for _ in range(parallelism)]
    append = [part.append for part in parts]
    for target, value in zip(targets, column, strict=True):
        append[target](value)
    return parts
