"""Conformance cases of timer services, named after Flink's InternalTimerServiceImplTest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream.window import TimeWindow
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.operators.timer_service import InternalTimerService
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.namespace import TIME_WINDOW
from millpond.testing.backend_harness import at_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.testing.backend_harness import BackendHarness

__all__ = ("TimerServiceCases",)

HELLO = TimeWindow(0, 10)
CIAO = TimeWindow(10, 20)


class _Service:
    """A timer service with windows as namespaces, and what fired, as (timestamp, key, window)."""

    def __init__(self, backend: KeyedStateBackend, harness: BackendHarness) -> None:
        self.backend = backend
        self.harness = harness
        self.timers = InternalTimerService(backend, harness.clock, TIME_WINDOW)
        self.fired: list[tuple[int, Any, Any]] = []
        self.on_fire: Callable[[int, Any], None] = lambda timestamp, namespace: None

    def fire(self, timestamp: int, namespace: Any) -> None:
        assert self.backend.current_key is not NO_KEY
        self.fired.append((timestamp, self.backend.current_key, namespace))
        self.on_fire(timestamp, namespace)

    def add(self, domain: str, timestamp: int, key: int, window: TimeWindow = HELLO) -> None:
        with at_key(self.backend, key):
            getattr(self.timers, f"register_{domain}_time_timer")(window, timestamp)

    def delete(self, domain: str, timestamp: int, key: int, window: TimeWindow = HELLO) -> None:
        with at_key(self.backend, key):
            getattr(self.timers, f"delete_{domain}_time_timer")(window, timestamp)

    def advance(self, domain: str, time: int) -> list[tuple[int, Any, Any]]:
        """Advance event or processing time and return what fired."""
        self.fired.clear()
        if domain == "event":
            self.timers.advance_watermark(time, self.fire)
        else:
            self.harness.clock.set(time)
            self.timers.advance_processing_time(time, self.fire)
        assert [timer[0] for timer in self.fired] == sorted(timer[0] for timer in self.fired)
        return list(self.fired)

    def pending(self, domain: str) -> set[tuple[int, Any, Any]]:
        """Return all timers by the service's own iteration."""
        found: list[tuple[int, Any, Any]] = []
        getattr(self.timers, f"for_each_{domain}_time_timer")(
            lambda namespace, time: found.append((time, self.backend.current_key, namespace))
        )
        assert self.backend.current_key is NO_KEY
        assert len(found) == len(set(found))
        return set(found)


def _service(harness: BackendHarness, restored: Iterable[Any] = ()) -> _Service:
    return _Service(harness.create(restored), harness)


class TimerServiceCases:
    """What an operator may rely on, over every timer queue."""

    def test_key_group_start_index_setting(self, harness: BackendHarness) -> None:
        """A subtask's timers are written under its own key groups."""
        groups = KeyGroupRange(7, 21)
        backend = harness.create(key_groups=groups)
        service = _Service(backend, harness)
        group_of = backend.parameters.key_serializer.key_group
        own = [key for key in range(500) if 7 <= group_of(key, 128) <= 21]
        for key in own:
            service.add("event", key, key)
        handle = harness.snapshot(backend)
        assert handle is not None
        assert (handle.first_key_group, handle.last_key_group) == (7, 21)
        restored = _Service(harness.create([handle], groups), harness)
        assert restored.pending("event") == {(key, key, HELLO) for key in own}

    def test_timer_assignment_to_key_groups(self, harness: BackendHarness) -> None:
        """Each timer goes to the subtask that owns its key's group."""
        service = _service(harness)
        for key in range(100):
            service.add("event", 10 + key, key)
            service.add("event", 10 + key, key)
        handle = harness.snapshot(service.backend)
        group_of = service.backend.parameters.key_serializer.key_group
        seen = 0
        for start in range(0, 128, 16):
            groups = KeyGroupRange(start, start + 15)
            part = _Service(harness.create([handle], groups), harness)
            for timestamp, key, _ in part.pending("event"):
                assert timestamp == 10 + key
                assert start <= group_of(key, 128) <= start + 15
                seen += 1
            harness.dismiss(part.backend)
        assert seen == 100

    def test_only_sets_one_physical_processing_time_timer(self, harness: BackendHarness) -> None:
        """The task waits for the first timer only, and then for the one after it."""
        service = _service(harness)
        assert service.timers.next_processing_time() is None
        for timestamp in (10, 20, 30):
            service.add("processing", timestamp, 0, HELLO)
            service.add("processing", timestamp, 0, CIAO)
        for timestamp in (10, 20, 30):
            assert service.timers.next_processing_time() == timestamp
            fired = service.advance("processing", timestamp)
            assert set(fired) == {(timestamp, 0, HELLO), (timestamp, 0, CIAO)}
        assert service.timers.next_processing_time() is None

    def test_register_earlier_processing_timer_moves_physical_processing_timer(
        self, harness: BackendHarness
    ) -> None:
        """A timer before all others is waited for first."""
        service = _service(harness)
        service.add("processing", 20, 0)
        assert service.timers.next_processing_time() == 20
        service.add("processing", 10, 0)
        assert service.timers.next_processing_time() == 10
        service.delete("processing", 10, 0)
        assert service.timers.next_processing_time() == 20

    def test_registering_processing_time_timer_in_on_processing_time_does_not_leak_physical_timers(
        self, harness: BackendHarness
    ) -> None:
        """A timer that sets its successor leaves exactly that one."""
        service = _service(harness)
        service.on_fire = lambda timestamp, namespace: (
            service.timers.register_processing_time_timer(namespace, timestamp + 10)
        )
        service.add("processing", 10, 0)
        for timestamp in (10, 20, 30):
            assert service.advance("processing", timestamp) == [(timestamp, 0, HELLO)]
            assert service.timers.next_processing_time() == timestamp + 10
            assert service.pending("processing") == {(timestamp + 10, 0, HELLO)}

    def test_current_processing_time(self, harness: BackendHarness) -> None:
        """It is the clock's."""
        service = _service(harness)
        for now_ms in (17, 42):
            harness.clock.set(now_ms)
            assert service.timers.current_processing_time() == now_ms

    def test_current_event_time(self, harness: BackendHarness) -> None:
        """It is the watermark, already while the timers fire that it has reached."""
        service = _service(harness)
        assert service.timers.current_watermark == MIN_WATERMARK
        seen: list[int] = []
        service.on_fire = lambda timestamp, namespace: seen.append(service.timers.current_watermark)
        service.add("event", 3, 1)
        service.advance("event", 17)
        assert seen == [17]
        assert service.timers.current_watermark == 17

    def test_set_and_fire_event_time_timers(self, harness: BackendHarness) -> None:
        """Each (key, window, time) fires once."""
        self._set_and_fire(harness, "event")

    def test_set_and_fire_processing_time_timers(self, harness: BackendHarness) -> None:
        """Each (key, window, time) fires once."""
        self._set_and_fire(harness, "processing")

    def _set_and_fire(self, harness: BackendHarness, domain: str) -> None:
        service = _service(harness)
        timers = {(10, key, window) for key in (1, 2) for window in (HELLO, CIAO)}
        for timer in (*timers, *timers):
            service.add(domain, *timer)
        assert service.pending(domain) == timers
        assert service.advance(domain, 9) == []
        fired = service.advance(domain, 10)
        assert len(fired) == 4
        assert set(fired) == timers
        assert service.advance(domain, 11) == []
        assert service.pending(domain) == set()

    def test_delete_event_time_timers(self, harness: BackendHarness) -> None:
        """Only the deleted ones do not fire."""
        self._delete(harness, "event")

    def test_delete_processing_time_timers(self, harness: BackendHarness) -> None:
        """Only the deleted ones do not fire."""
        self._delete(harness, "processing")

    def _delete(self, harness: BackendHarness, domain: str) -> None:
        service = _service(harness)
        timers = {(10, key, window) for key in (1, 2) for window in (HELLO, CIAO)}
        for timer in timers:
            service.add(domain, *timer)
        service.delete(domain, 10, 1, CIAO)
        service.delete(domain, 10, 2, HELLO)
        service.delete(domain, 11, 2, CIAO)
        assert set(service.advance(domain, 20)) == {(10, 1, HELLO), (10, 2, CIAO)}

    def test_for_each_event_time_timers(self, harness: BackendHarness) -> None:
        """Every timer comes once, with its key; the function may change timers."""
        self._for_each(harness, "event")

    def test_for_each_processing_time_timers(self, harness: BackendHarness) -> None:
        """Every timer comes once, with its key; the function may change timers."""
        self._for_each(harness, "processing")

    def _for_each(self, harness: BackendHarness, domain: str) -> None:
        service = _service(harness)
        timers = {(key % 7, key, HELLO) for key in range(300)}
        for timer in timers:
            service.add(domain, *timer)
        assert service.pending(domain) == timers
        delete = getattr(service.timers, f"delete_{domain}_time_timer")
        getattr(service.timers, f"for_each_{domain}_time_timer")(delete)
        assert service.pending(domain) == set()

    def test_snapshot_and_restore(self, harness: BackendHarness) -> None:
        """Both domains come back, and only what was set before the snapshot."""
        service = _service(harness)
        for domain, window in (("event", HELLO), ("processing", CIAO)):
            service.add(domain, 10, 1, window)
            service.add(domain, 10, 2, window)
        handle = harness.snapshot(service.backend)
        service.add("event", 5, 3)
        service.advance("event", 20)
        restored = _service(harness, [handle])
        assert restored.timers.current_watermark == MIN_WATERMARK
        for domain, window in (("event", HELLO), ("processing", CIAO)):
            assert set(restored.advance(domain, 10)) == {(10, 1, window), (10, 2, window)}

    def test_snapshot_and_rebalancing_restore(self, harness: BackendHarness) -> None:
        """Two subtasks divide the timers of one, and fire each once."""
        service = _service(harness)
        timers = {(key % 13 - 6, key, HELLO) for key in range(200)}
        for timer in timers:
            service.add("event", *timer)
        handle = harness.snapshot(service.backend)
        parts = [_Service(backend, harness) for backend in harness.subtasks(2, [handle])]
        fired = [part.advance("event", 100) for part in parts]
        assert all(fired)
        assert len(fired[0]) + len(fired[1]) == 200
        assert {*fired[0], *fired[1]} == timers
        for number, part in enumerate(fired):
            assert all(harness.owner(key, 2) == number for _, key, _ in part)

    def test_timers_at_the_ends_of_time(self, harness: BackendHarness) -> None:
        """The smallest and the largest timestamp of 64 bits are timers like others."""
        service = _service(harness)
        ends = (MIN_WATERMARK, MIN_WATERMARK + 1, -1, 0, MAX_WATERMARK - 1, MAX_WATERMARK)
        for timestamp in reversed(ends):
            service.add("event", timestamp, 1)
        service = _Service(harness.restored(service.backend), harness)
        assert [timer[0] for timer in service.advance("event", MIN_WATERMARK)] == [MIN_WATERMARK]
        assert [timer[0] for timer in service.advance("event", 0)] == [MIN_WATERMARK + 1, -1, 0]
        fired = service.advance("event", MAX_WATERMARK)
        assert [timer[0] for timer in fired] == [MAX_WATERMARK - 1, MAX_WATERMARK]

    def test_timers_set_while_firing(self, harness: BackendHarness) -> None:
        """One that is due fires in the same round, in order; a deleted one does not."""
        service = _service(harness)

        def chain(timestamp: int, namespace: Any) -> None:
            if timestamp == 10:
                service.timers.register_event_time_timer(namespace, 5)
                service.timers.register_event_time_timer(namespace, 15)
                service.timers.register_event_time_timer(namespace, 99)
                service.timers.delete_event_time_timer(namespace, 20)

        service.on_fire = chain
        for timestamp in (10, 20, 30):
            service.add("event", timestamp, 1)
        service.fired.clear()
        service.timers.advance_watermark(50, service.fire)
        assert [timer[0] for timer in service.fired] == [10, 5, 15, 30]
        assert service.pending("event") == {(99, 1, HELLO)}
