"""`compare`: what two snapshots hold differently, in memory that does not grow with them."""

from __future__ import annotations

import contextlib
import tempfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, final

import msgspec

from millpond.serialization.pickle_names import load_pickle
from millpond.state_processor.decoding import split_pickles
from millpond.state_processor.entries import StateEntry, read_entries
from millpond.state_processor.savepoint import total_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from millpond.formats.handles import OperatorState
    from millpond.state_processor.savepoint import OperatorContent, Savepoint

__all__ = ("Change", "compare")

_BUCKET_BYTES: Final = 16 << 20
_MAX_BUCKETS: Final = 256
_LIST_KINDS: Final = frozenset({"split list", "union list"})

# What an entry is found by, and what it holds: value, last access, number of equal elements.
_Identity = tuple[bytes, bytes, bytes, int | None]
_Held = tuple[bytes | None, tuple[int, ...], int]


@final
@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        operator: the operator in the snapshot that has the entry.
        first: the entry in the first snapshot, None if it is only in the second.
        second: the same the other way round.
    """

    operator: OperatorContent
    first: StateEntry | None
    second: StateEntry | None


def compare(
    first: Savepoint,
    second: Savepoint,
    operators: Sequence[str] = (),
    *,
    allow_pickle: bool = False,
    times: bool = True,
) -> Iterator[Change]:
    """Iterate over the differences, operator by operator; operators are matched by id.

    How list elements are cut into chunks makes no difference, nor do parallelism, backend, layout
    and which subtask holds what. Pickles of equal values may have different bytes: with
    `allow_pickle` they are loaded, which may run code. Without `times`, last access times of state
    with a time to live are not compared. Positions of sources (coordinators) are not compared.

    Large operators are dealt into temporary files first.

    Raises:
        SavepointMismatchError: neither snapshot has one of `operators`.
        FormatError: state is damaged or of a kind that cannot be read.
    """
    ours = {operator.operator_id: operator for operator in first.operators}
    theirs = {operator.operator_id: operator for operator in second.operators}
    chosen = set(ours) | set(theirs)
    if operators:
        chosen = {operator.operator_id for operator in _selected(first, second, operators)}
    for operator_id in [*ours, *(each for each in theirs if each not in ours)]:
        if operator_id in chosen:
            sides = ((first, ours.get(operator_id)), (second, theirs.get(operator_id)))
            yield from _compare_operator(sides, _equal(allow_pickle=allow_pickle, times=times))


def _selected(
    first: Savepoint, second: Savepoint, operators: Sequence[str]
) -> Iterator[OperatorState]:
    from millpond.errors import SavepointMismatchError

    for name in operators:
        try:
            yield from first.select((name,))
        except SavepointMismatchError:
            yield from second.select((name,))


def _compare_operator(
    sides: tuple[tuple[Savepoint, OperatorState | None], ...],
    equal: Callable[[_Held, _Held], bool],
) -> Iterator[Change]:
    size = sum(total_bytes(operator) for _, operator in sides if operator is not None)
    count = max(1, min(_MAX_BUCKETS, size // _BUCKET_BYTES))
    with contextlib.ExitStack() as files:
        dealt = [
            None
            if operator is None
            else _Side(savepoint, savepoint.describe(operator), count, files)
            for savepoint, operator in sides
        ]
        first, second = dealt
        for bucket in range(count):
            ours = {} if first is None else first.load(bucket)
            theirs = {} if second is None else second.load(bucket)
            for identity, held in ours.items():
                other = theirs.pop(identity, None)
                if other is None or not equal(held, other):
                    assert first is not None
                    yield Change(
                        first.content,
                        first.entry(identity, held),
                        None if other is None or second is None else second.entry(identity, other),
                    )
            for identity, held in theirs.items():
                assert second is not None
                yield Change(second.content, None, second.entry(identity, held))


@final
class _Side:
    """The entries of one operator of one snapshot, in memory or dealt into temporary files."""

    def __init__(
        self,
        savepoint: Savepoint,
        content: OperatorContent,
        count: int,
        files: contextlib.ExitStack,
    ) -> None:
        self.content = content
        self._states = {state.meta.name: state for state in content.states}
        self._memory: dict[tuple[str, _Identity], _Held] = {}
        self._buckets: list[BinaryIO] = []
        if count > 1:
            self._buckets = [_temporary_file(files) for _ in range(count)]
        pack = msgspec.msgpack.Encoder().encode
        for entry in read_entries(savepoint, content):
            name = entry.state.meta.name
            self._states.setdefault(name, entry.state)
            item = _taken_apart(entry)
            if not self._buckets:
                _keep(self._memory, name, *item)
                continue
            data = pack((name, *item))
            place = zlib.crc32(pack((name, item[0]))) % count
            self._buckets[place].write(len(data).to_bytes(4, "big") + data)

    def load(self, bucket: int) -> dict[tuple[str, _Identity], _Held]:
        """Return the entries of one bucket."""
        if not self._buckets:
            return self._memory
        found: dict[tuple[str, _Identity], _Held] = {}
        unpack = msgspec.msgpack.Decoder(tuple[str, _Identity, _Held]).decode
        stream = self._buckets[bucket]
        stream.seek(0)
        while length := stream.read(4):
            _keep(found, *unpack(stream.read(int.from_bytes(length, "big"))))
        return found

    def entry(self, identity: tuple[str, _Identity], held: _Held) -> StateEntry:
        """Put an entry together again."""
        name, (key, namespace, map_key, timestamp) = identity
        state = self._states[name]
        value, times, _ = held
        if state.kind in _LIST_KINDS:
            return StateEntry(state, b"", b"", b"", map_key, subtask=0)
        subtask = 0 if state.kind == "broadcast" else -1
        return StateEntry(state, key, namespace, map_key, value, times, timestamp, subtask)


def _temporary_file(files: contextlib.ExitStack) -> BinaryIO:
    return files.enter_context(tempfile.TemporaryFile())


def _taken_apart(entry: StateEntry) -> tuple[_Identity, _Held]:
    if entry.state.kind in _LIST_KINDS:
        # Elements have no place that stays, so they are counted.
        return (b"", b"", entry.value or b"", None), (b"", (), 1)
    identity = (entry.key, entry.namespace, entry.map_key, entry.timestamp)
    return identity, (entry.value, entry.times, 0)


def _keep(
    target: dict[tuple[str, _Identity], _Held], name: str, identity: _Identity, held: _Held
) -> None:
    value, times, number = held
    if number:
        known = target.get((name, identity))
        held = (value, times, number + (0 if known is None else known[2]))
    target[name, identity] = held


def _equal(*, allow_pickle: bool, times: bool) -> Callable[[_Held, _Held], bool]:
    def equal(first: _Held, second: _Held) -> bool:
        if first[2] != second[2] or (times and first[1] != second[1] and not _same(first, second)):
            return False
        if first[0] == second[0]:
            return True
        return allow_pickle and _equal_pickles(first[0], second[0])

    return equal


def _same(first: _Held, second: _Held) -> bool:
    """Whether times differ only in how often they occur: elements may be cut into other chunks."""
    return set(first[1]) == set(second[1])


def _equal_pickles(first: bytes | None, second: bytes | None) -> bool:
    ours = None if first is None else split_pickles(first)
    theirs = None if second is None else split_pickles(second)
    if ours is None or theirs is None or len(ours) != len(theirs):
        return False
    try:
        return all(
            bool(load_pickle(one) == load_pickle(other))
            for one, other in zip(ours, theirs, strict=True)
        )
    except Exception:  # noqa: BLE001 - a pickle may raise anything
        return False
