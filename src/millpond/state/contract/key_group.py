"""Key groups: the unit in which keyed state is dealt to subtasks.

The rules are Flink's (KeyGroupRangeAssignment, MathUtils), bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import mmh3

from millpond.errors import ConfigurationError

__all__ = (
    "UPPER_BOUND_MAX_PARALLELISM",
    "KeyGroupRange",
    "default_max_parallelism",
    "key_group_of_hash",
    "key_group_prefix_length",
    "key_group_range",
    "operator_index",
    "validate_parallelism",
)

UPPER_BOUND_MAX_PARALLELISM = 32768
_LOWER_BOUND_MAX_PARALLELISM = 128
_INT_MASK = 0xFFFFFFFF


class KeyGroupRange(NamedTuple):
    """Consecutive key groups, both ends inclusive; empty when `end < start`."""

    start: int
    end: int

    def __contains__(self, key_group: object) -> bool:
        return isinstance(key_group, int) and self.start <= key_group <= self.end

    @property
    def count(self) -> int:  # type: ignore[override]  # a range has no values to count
        """How many key groups it holds."""
        return max(0, self.end - self.start + 1)

    def intersect(self, other: KeyGroupRange) -> KeyGroupRange:
        """Return the groups in both; an empty range where there are none."""
        return KeyGroupRange(max(self.start, other.start), min(self.end, other.end))


def key_group_of_hash(java_hash: int, max_parallelism: int) -> int:
    """Return the key group of a key with this Java hash code (any 32-bit pattern)."""
    # mmh3 over the four little-endian bytes is exactly Flink's murmurHash(int).
    mixed = mmh3.hash((java_hash & _INT_MASK).to_bytes(4, "little"), 0)
    if mixed < 0:
        mixed = 0 if mixed == -0x80000000 else -mixed
    return mixed % max_parallelism


def key_group_range(max_parallelism: int, parallelism: int, index: int) -> KeyGroupRange:
    """Return the key groups that subtask `index` owns."""
    start = (index * max_parallelism + parallelism - 1) // parallelism
    end = ((index + 1) * max_parallelism - 1) // parallelism
    return KeyGroupRange(start, end)


def operator_index(key_group: int, max_parallelism: int, parallelism: int) -> int:
    """Return the subtask that owns a key group."""
    return key_group * parallelism // max_parallelism


def default_max_parallelism(parallelism: int) -> int:
    """Return Flink's maximum parallelism for an operator that did not set one."""
    wanted = parallelism + parallelism // 2
    power = 1 << max(0, wanted - 1).bit_length()
    return min(max(power, _LOWER_BOUND_MAX_PARALLELISM), UPPER_BOUND_MAX_PARALLELISM)


def key_group_prefix_length(max_parallelism: int) -> int:
    """Return how many bytes a key group takes in front of a key: 1 or 2."""
    return 1 if max_parallelism <= 128 else 2


def validate_parallelism(parallelism: int, max_parallelism: int) -> None:
    """Check 0 < parallelism <= max_parallelism <= 32768.

    Raises:
        ConfigurationError: it does not hold.
    """
    if not 0 < max_parallelism <= UPPER_BOUND_MAX_PARALLELISM:
        raise ConfigurationError(
            f"Max parallelism {max_parallelism} is not between 1 and {UPPER_BOUND_MAX_PARALLELISM}."
        )
    if not 0 < parallelism <= max_parallelism:
        raise ConfigurationError(
            f"Parallelism {parallelism} is not between 1 and the max parallelism "
            f"{max_parallelism}.",
            hint="Raise the max parallelism or lower the parallelism.",
        )
