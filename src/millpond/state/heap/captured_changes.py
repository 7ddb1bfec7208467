"""What an increment is made of: the entries and timers that changed, and those that went."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.formats.pyflink_values import encode_timer
from millpond.state.contract.namespace import VOID, NamespaceSerializer
from millpond.state.heap.captured_state import PIECE, CapturedState, Checkpoint, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.formats.canonical_writer import CanonicalWriter
    from millpond.formats.state_meta import StateMeta
    from millpond.state.heap.key_groups import KeyGroups

__all__ = ("CapturedAddresses", "CapturedTimerChanges")

Layers = tuple[dict[Any, Any], ...]
"""Of a change log, newest first."""


def _newest(layers: Layers) -> Iterator[tuple[Any, Any]]:
    """Iterate over every key with its newest value, None for a removed one."""
    for depth, layer in enumerate(layers):
        newer = layers[:depth]
        for key, value in layer.items():
            if not any(key in other for other in newer):
                yield key, value


@final
class CapturedAddresses(CapturedState):
    """The entries whose older rows go: all changed ones, or with `removed_only` the removed ones.

    A row that is written again under its old key replaces the old one. A map has many rows an
    entry, and filtered entries may have none, so there all changed ones must go first.
    """

    def __init__(
        self,
        meta: StateMeta,
        namespace: NamespaceSerializer,
        layers: Layers,
        key_groups: KeyGroups,
        *,
        removed_only: bool,
    ) -> None:
        self.meta = meta
        self._namespace = namespace
        self._layers = layers
        self._key_groups = key_groups
        self._removed_only = removed_only

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Deal the addresses to key groups."""
        has_namespace = self._namespace is not VOID
        addresses = (
            key for key, value in _newest(self._layers) if value is None or not self._removed_only
        )
        return _dealt(
            addresses,
            (lambda address: address[0]) if has_namespace else (lambda address: address),
            self._key_groups,
            checkpoint,
        )

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: list[Any],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Encode the addresses of one key group."""
        writer.write_entries(state_id, self._rows(part, prefix, checkpoint))

    def _rows(self, part: list[Any], prefix: bytes, checkpoint: Checkpoint) -> Iterator[Row]:
        has_namespace = self._namespace is not VOID
        encode_key, encode_namespace = self._key_groups.serializer.encode, self._namespace.encode
        for number, address in enumerate(part, 1):
            key, namespace = address if has_namespace else (address, None)
            yield prefix + encode_key(key) + encode_namespace(namespace), b""
            if number % PIECE == 0:
                checkpoint()


@final
class CapturedTimerChanges(CapturedState):
    """The timers that were added, or those that went."""

    def __init__(
        self,
        meta: StateMeta,
        namespace: NamespaceSerializer,
        layers: Layers,
        key_groups: KeyGroups,
        *,
        added: bool,
    ) -> None:
        self.meta = meta
        self._namespace = namespace
        self._layers = layers
        self._key_groups = key_groups
        self._wanted = True if added else None

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Deal the timers to key groups."""
        timers = (timer for timer, value in _newest(self._layers) if value is self._wanted)
        return _dealt(timers, lambda timer: timer[1], self._key_groups, checkpoint)

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: list[Any],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Encode the timers of one key group."""
        writer.write_entries(state_id, self._rows(part, prefix, checkpoint))

    def _rows(self, part: list[Any], prefix: bytes, checkpoint: Checkpoint) -> Iterator[Row]:
        encode_key, encode_namespace = self._key_groups.serializer.encode, self._namespace.encode
        for number, (timestamp, key, namespace) in enumerate(part, 1):
            timer = encode_timer(timestamp, encode_key(key), encode_namespace(namespace))
            yield prefix + timer, b""
            if number % PIECE == 0:
                checkpoint()


def _dealt(
    items: Iterable[Any], key_of: Any, key_groups: KeyGroups, checkpoint: Checkpoint
) -> dict[int, Any]:
    parts: dict[int, list[Any]] = {}
    iterator = iter(items)
    while piece := list(islice(iterator, PIECE)):
        for group, item in zip(key_groups.of(list(map(key_of, piece))), piece, strict=True):
            parts.setdefault(group, []).append(item)
        checkpoint()
    return parts
