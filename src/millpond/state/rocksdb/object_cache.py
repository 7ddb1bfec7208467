"""`ObjectCache`: which of the values that the database has stay decoded in memory."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("DUELLING", "ObjectCache")

_GROUPS: Final = 32
_TRIAL: Final = 0
_CONTROL: Final = 1
_FEWEST_MISSES: Final = 4096
DUELLING: Final = (_GROUPS - 2) << 20
"""Of `hash((slot,))` only these bits are zero in the slots on trial and in their control."""


@final
class ObjectCache:
    """Clean values of a state, by slot; the changed ones are with the state.

    What is dropped when memory is short follows one of two rules. Usually it is what was not
    changed for longest. Where keys come in turn and are more than fit, that drops each just before
    it is needed: then the first ones stay and newcomers go. The other rule is on trial with one
    slot in 32, in a small dictionary of its own, and takes over when it has clearly fewer misses
    than as many slots under the present one (set duelling, as in processors' caches).

    Attributes:
        clean: the values; None is "absent in the database".
        trial: those of the slots under the other rule.
        keeps_first: whether newcomers are dropped first.
        is_contested: whether rules are compared, since something had to go.
        place: where the value of the slot belongs that `missed` was asked for last.
    """

    __slots__ = (
        "_control_misses",
        "_trial_misses",
        "clean",
        "is_contested",
        "keeps_first",
        "place",
        "trial",
    )

    def __init__(self) -> None:
        self.clean: dict[Any, Any] = {}
        self.trial: dict[Any, Any] = {}
        self.place = self.clean
        self.keeps_first = self.is_contested = False
        self._trial_misses = self._control_misses = 0

    def __len__(self) -> int:
        return len(self.clean) + len(self.trial)

    def missed(self, slot: Any, default: Any) -> Any:
        """Return the value of a slot that is not in `clean`, if it is on trial; count a miss.

        Needed only while `is_contested`, and of slots on trial or in control (`DUELLING`);
        afterwards put what the database has into `place`.
        """
        group = _group(slot)
        self.place = self.clean
        if group == _TRIAL:
            self.place = self.trial
            value = self.trial.get(slot, default)
            if value is default:
                self._trial_misses += 1
            return value
        if group == _CONTROL:
            self._control_misses += 1
        return default

    def is_absent(self, slot: Any) -> bool:
        """Return whether the database is known to have no row of a slot."""
        known = self.clean.get(slot, self)
        return (self.trial.get(slot, self) if known is self else known) is None

    def make_room(self, changed: Mapping[Any, Any], capacity: int) -> bool:
        """Drop clean values until an eighth of the capacity is free, `changed` included.

        Returns False if that is not enough: write `changed`, then `absorb` it.
        """
        self._decide()
        if self.keeps_first:
            return False
        clean = self.clean
        # These are outdated. What is known to be absent and removed stays: it saves a deletion.
        fewer, more = (clean, changed) if len(clean) < len(changed) else (changed, clean)
        outdated = [
            slot
            for slot in fewer
            if slot in more and (clean[slot] is not None or changed[slot] is not None)
        ]
        for slot in outdated:
            del clean[slot]
        target = capacity - _free(capacity)
        if len(changed) + len(self) > target:
            self.is_contested = True
            self._trim_trial(capacity)
            for slot in list(islice(clean, max(0, len(changed) + len(self) - target))):
                del clean[slot]
        return len(changed) + len(self) <= target

    def absorb(self, written: Mapping[Any, Any], capacity: int) -> None:
        """Take over values that were written to the database, as far as there is room."""
        clean = self.clean
        if not self.keeps_first:
            # The order is that of the last change.
            for slot in [slot for slot in written if slot in clean]:
                del clean[slot]
        clean.update(written)
        if self.is_contested:
            # `_group` is written out: a call would cost twice as much as all else here.
            on_trial = [slot for slot in written if hash((slot,)) >> 20 & _GROUPS - 1 == _TRIAL]
            for slot in on_trial:
                del clean[slot]
                if self.keeps_first:
                    self.trial.pop(slot, None)
                self.trial[slot] = written[slot]
            self._trim_trial(capacity)
        if len(self) > capacity:
            self.is_contested = True
            room = capacity - _free(capacity) - len(self.trial)
            _trim(clean, max(1, room), keeps_first=self.keeps_first)

    def clear(self) -> None:
        """Drop all values."""
        self.clean.clear()
        self.trial.clear()

    def _trim_trial(self, capacity: int) -> None:
        share = capacity // _GROUPS + 1
        _trim(self.trial, share, keeps_first=not self.keeps_first)

    def _decide(self) -> None:
        """Change the rule if the other one misses a quarter less."""
        trial, control = self._trial_misses, self._control_misses
        if trial + control < _FEWEST_MISSES:
            return
        if trial * 4 < control * 3:
            self.keeps_first = not self.keeps_first
            trial = control = 0
        self._trial_misses, self._control_misses = trial // 2, control // 2


def _group(slot: Any) -> int:
    # Of numbers in a row the lower bits are spread unevenly.
    return hash((slot,)) >> 20 & _GROUPS - 1


def _free(capacity: int) -> int:
    return max(1, capacity >> 3)


def _trim(values: dict[Any, Any], count: int, *, keeps_first: bool) -> None:
    if keeps_first:
        while len(values) > count:
            values.popitem()
    else:
        for slot in list(islice(values, max(0, len(values) - count))):
            del values[slot]
