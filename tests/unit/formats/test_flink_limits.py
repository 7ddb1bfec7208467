from millpond.formats.flink_limits import flink_limits
from millpond.formats.pyflink_serializers import (
    broadcast_state_meta,
    keyed_state_meta,
    operator_list_state_meta,
)


def texts(*metas, nones=()):
    return [str(limit) for limit in flink_limits(metas, nones)]


def test_what_pyflink_has_too_is_no_limit():
    assert not texts(
        operator_list_state_meta("SourceReaderState"),
        keyed_state_meta("v", is_map=False, signature="VALUE<LONG>"),
        keyed_state_meta("m", is_map=True),
        broadcast_state_meta("b", "BROADCAST<STRING, LONG>"),
    )


def test_each_limit_says_what_to_do():
    (source,) = texts(operator_list_state_meta("source-splits", union=True))
    assert source == (
        "source-splits: positions of a source of Millpond. Flink's source starts where its own "
        "options say: set its starting position."
    )
    (watermark,) = texts(operator_list_state_meta("largest-timestamp", union=True))
    assert "watermarks start anew" in watermark
    (requests,) = texts(operator_list_state_meta("_async_wait_operator_state_"))
    assert "Stop the job with drain" in requests
    (own,) = texts(operator_list_state_meta("mine"))
    assert own.startswith("mine: list state of an operator")
    (typed,) = texts(keyed_state_meta("v", is_map=False, signature="VALUE<TYPED<app.Order>>"))
    assert "Types.TYPED(app.Order)" in typed
    broadcast = broadcast_state_meta("rules")
    (none,) = texts(broadcast, nones={broadcast.name})
    assert "None as a value of broadcast state" in none
    timed = keyed_state_meta("m", is_map=True, ttl=True)
    (none,) = texts(timed, nones={timed.name})
    assert "None as a value of a map with TTL. Remove the key instead" in none
