"""`flink_limits`: what of a canonical snapshot Apache Flink reads, but cannot use.

Nothing of it is lost: it is in the savepoint, and Millpond restores it. State that does not fit the
format at all, such as a list of more than 2^31-1 bytes, makes the savepoint fail with an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from millpond.formats.state_meta import SIGNATURE, StateMetaKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from millpond.formats.state_meta import StateMeta

__all__ = ("FlinkLimit", "flink_limits", "none_in")

_OPERATOR_LISTS: Final = {
    "source-splits": (
        "positions of a source of Millpond",
        "Flink's source starts where its own options say: set its starting position.",
    ),
    "largest-timestamp": (
        "the watermark of the event times",
        "Flink's watermarks start anew, so that late records may be taken until it is reached.",
    ),
    "_async_wait_operator_state_": (
        "requests in flight",
        "Stop the job with drain, so that none are.",
    ),
    "_async_wait_operator_watermarks_": (
        "watermarks between requests in flight",
        "Stop the job with drain, so that there are none.",
    ),
    "sink-writer-states": (
        "state of a sink of Millpond",
        "Stop the job with drain: the sink finishes its files, and Flink needs none of it.",
    ),
    "sink-committables": (
        "commits of a sink that are pending",
        "Stop the job with a savepoint, which commits them as soon as it is complete.",
    ),
    "results-sent": ("positions of execute_and_collect", "Flink has no use for them."),
    "results-held-back": (
        "results of execute_and_collect that were not fetched",
        "Fetch them before the savepoint.",
    ),
}
_ANY_LIST: Final = (
    "list state of an operator, which PyFlink has not",
    "Keep it in keyed or broadcast state if the job must move to Flink.",
)
_FLINK_SOURCE: Final = "SourceReaderState"
_TYPED = re.compile(r"\bTYPED<([^<>]*)>")


class FlinkLimit(NamedTuple):
    """One state that Flink cannot use: which, why, and what to do."""

    state: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.state}: {self.what}. {self.hint}"


def flink_limits(
    metas: Iterable[StateMeta], states_with_none: Collection[str] = ()
) -> list[FlinkLimit]:
    """Return what Flink cannot use of the states of one operator.

    `states_with_none` names broadcast states, and maps with TTL, in which some value is None.
    """
    found: list[FlinkLimit] = []
    for meta in metas:
        if meta.kind is StateMetaKind.OPERATOR and meta.name != _FLINK_SOURCE:
            found.append(FlinkLimit(meta.name, *_OPERATOR_LISTS.get(meta.name, _ANY_LIST)))
            continue
        typed = _TYPED.search(meta.options.get(SIGNATURE, ""))
        if typed is not None:
            what = f"values of Types.TYPED({typed[1]}), which PyFlink has not"
            hint = "Declare it as Types.ROW_NAMED, or pickled, if the job must move to Flink."
            found.append(FlinkLimit(meta.name, what, hint))
        if meta.name in states_with_none:
            is_broadcast = meta.kind is StateMetaKind.BROADCAST
            found.append(
                none_in(meta.name, "broadcast state" if is_broadcast else "a map with TTL")
            )
    return found


def none_in(state: str, where: str = "a map with TTL") -> FlinkLimit:
    """Return the limit of a state in which some value is None."""
    hint = "Remove the key instead, or store a value that stands for nothing."
    return FlinkLimit(state, f"None as a value of {where}", hint)
