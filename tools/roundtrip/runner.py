"""Runs the round trip's program once, on PyFlink or on Millpond, and takes savepoints.

usage: python runner.py RUN.json, with the directory of program.py (or of its Millpond version) on
PYTHONPATH. Writes `result.json` into the run's directory: the savepoints by name. The keys of
RUN.json: side (flink, millpond), directory, parallelism, first_wave, last_wave, savepoint (to start
from, or null), target, configuration, allow_non_restored.
"""

import json
import os
import sys
import time

import program

_TIMEOUT_SECONDS = 900


def main():
    """Run the job: restore, savepoint as it is, waves, savepoint, cancel."""
    with open(sys.argv[1]) as file:
        run = json.load(file)
    on_flink = run["side"] == "flink"
    if on_flink:
        from pyflink.common import Configuration
        from pyflink.datastream import StreamExecutionEnvironment
    else:
        from millpond.common import Configuration
        from millpond.datastream import StreamExecutionEnvironment
    configuration = Configuration()
    for key, value in run["configuration"].items():
        configuration.set_string(key, value)
    if run["savepoint"]:
        # Flink 2 reads the second name, 1.20 both.
        configuration.set_string("execution.state-recovery.path", run["savepoint"])
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    program.build(env, run)
    client = env.execute_async("round-trip")
    trigger = _flink_savepoint if on_flink else _millpond_savepoint
    result = {}
    try:
        _wait_running(client)
        if run["savepoint"]:
            result["restored"] = trigger(client, run["target"])
        for wave in range(run["first_wave"], run["last_wave"] + 1):
            _release(run, wave, client)
        if run["last_wave"] >= run["first_wave"]:
            result["continued"] = trigger(client, run["target"])
    finally:
        client.cancel().result()
    with open(f"{run['directory']}/result.json", "w") as file:
        json.dump(result, file)


def _release(run, wave, client):
    before = _lines(run)
    with open(f"{run['directory']}/go-{wave}", "w"):
        pass
    wanted = before + program.expected_progress(wave, run)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while _lines(run) < wanted:
        _fail_unless_running(client)
        if time.monotonic() > deadline:
            raise TimeoutError(f"wave {wave}: {_lines(run) - before} of {wanted - before} events")
        time.sleep(0.1)
    # Timers and windows that the wave's watermark fires, and PyFlink's bundles, come after.
    quiet = 0
    while quiet < run["quiet_checks"]:
        count = _lines(run)
        time.sleep(0.1)
        quiet = quiet + 1 if _lines(run) == count else 0


def _lines(run):
    total = 0
    for name in ("progress", "windows"):
        path = f"{run['directory']}/{name}"
        if os.path.exists(path):
            with open(path) as file:
                total += sum(1 for line in file if name == "windows" or line != "timer\n")
    return total


def _status(client):
    status = client.get_job_status().result()
    return getattr(status, "name", str(status))


def _fail_unless_running(client):
    status = _status(client)
    if status in ("FAILED", "FAILING", "FINISHED", "CANCELED", "RESTARTING"):
        client.get_job_execution_result().result()
        raise RuntimeError(f"the job is {status}")


def _wait_running(client):
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while _status(client) != "RUNNING":
        _fail_unless_running(client)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the job is {_status(client)}")
        time.sleep(0.1)


def _millpond_savepoint(client, target):
    return str(client.trigger_savepoint(target).result())


def _flink_savepoint(client, target):
    # PyFlink 2 cannot ask for savepoints itself: its Java signature has a format in addition.
    from pyflink.java_gateway import get_gateway

    formats = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            return str(client._j_job_client.triggerSavepoint(target, formats.CANONICAL).get())
        except Exception as error:
            waiting = "Not all required tasks are currently running" in str(error)
            if not waiting or time.monotonic() > deadline:
                raise
            _fail_unless_running(client)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
