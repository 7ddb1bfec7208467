"""Job ids, states, results and futures."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import CancelledError

import pytest

from millpond.common import CompletableFuture, JobExecutionResult, JobID, JobStatus


def test_job_id():
    job_id = JobID.from_hex("00" * 15 + "ff")
    assert str(job_id) == "00" * 15 + "ff"
    assert job_id == JobID(job_id.to_bytes())
    assert hash(job_id) == hash(JobID(job_id.to_bytes()))
    assert job_id != str(job_id)
    assert repr(job_id) == f"JobID({job_id})"
    with pytest.raises(ValueError, match="16 bytes"):
        JobID(b"short")


def test_terminal_states():
    terminal = {state for state in JobStatus if state.is_globally_terminal_state()}
    assert terminal == {JobStatus.FAILED, JobStatus.CANCELED, JobStatus.FINISHED}
    assert JobStatus.SUSPENDED.is_terminal_state()
    assert JobStatus.FAILED.is_terminal_state()
    assert not JobStatus.RUNNING.is_terminal_state()


def test_result():
    result = JobExecutionResult(JobID(bytes(16)), 12, {"count": 3})
    assert result.get_job_id() == JobID(bytes(16))
    assert result.get_net_runtime() == 12
    assert result.get_accumulator_result("count") == 3
    assert result.get_accumulator_result("other") is None
    assert result.get_all_accumulator_results() == {"count": 3}
    assert result.is_job_execution_result()
    assert "12 ms" in str(result)


def test_future_completes():
    seen = []
    future = CompletableFuture()
    future.add_done_callback(lambda done: seen.append(done.result()))
    assert not future.done()
    assert repr(future) == "<CompletableFuture pending>"
    with pytest.raises(TimeoutError):
        future.result(timeout=0.001)
    future.complete(5)
    assert future.done()
    assert (future.result(), future.exception(), seen) == (5, None, [5])
    assert repr(future) == "<CompletableFuture done>"
    assert CompletableFuture.completed(6).result() == 6


def test_who_waits_hears_signals_that_reached_another_thread():
    """As after a signal that came just before the wait began."""
    heard, future = threading.Event(), CompletableFuture()

    def send():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        future.complete(heard.wait(60))

    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    try:
        threading.Thread(target=send).start()
        assert future.result() is True
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_future_fails():
    future = CompletableFuture()
    future.complete_exceptionally(ValueError("no"))
    assert isinstance(future.exception(), ValueError)
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_future_is_cancelled():
    future = CompletableFuture()
    assert future.cancel()
    assert future.cancelled()
    assert repr(future) == "<CompletableFuture cancelled>"
    with pytest.raises(CancelledError):
        future.result()
    assert not CompletableFuture.completed(1).cancel()
