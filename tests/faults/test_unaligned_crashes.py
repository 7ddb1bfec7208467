"""Unaligned checkpoints: nothing lost or repeated when a function fails or the process dies."""

from __future__ import annotations

OPTIONS = {"execution.checkpointing.unaligned.enabled": "true"}
BACKEND = "filesystem incremental"


def test_a_function_fails(world, calm, finished, trouble):
    overtook = 0
    for element in (60, 260):
        one = world()
        trouble.arm(element=element)
        outcome = finished(one.run(BACKEND, seed=element, parallelism=2, options=OPTIONS))
        assert trouble.raised == outcome.restarts == 1
        assert one.answer == calm, element
        overtook += sum(each.is_unaligned for each in outcome.checkpoints)
    assert overtook > 0


def test_the_process_dies_before_a_durable_step(world, calm, crash, finished):
    died = 0
    for number in (40, 170, 420):
        one = world()
        one.files.crash_at(number)
        try:
            one.run(BACKEND, seed=3, options=OPTIONS)
        except crash:
            died += 1
        finished(one.reborn().run(BACKEND, resume=True, parallelism=2, options=OPTIONS))
        assert one.answer == calm, number
    assert died
