"""`millpond savepoint check`: what would become of each state, without running the job."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from millpond.cli import main

PROGRAM = """
from dataclasses import dataclass
from endless import Endless
from millpond.common import Types
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor

@dataclass
class Record:
    name: str
    {field}

class Count(KeyedProcessFunction):
    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.{type}()))
        self.record = runtime_context.get_state(ValueStateDescriptor("record", Types.TYPED(Record)))
        {more}

    def process_element(self, value, ctx):
        self.count.update(value)
        self.record.update(Record("n", 1))
        ctx.timer_service().register_event_time_timer(10 ** 9)

env = StreamExecutionEnvironment.get_execution_environment()
env.set_state_backend(FsStateBackend({checkpoints!r}))
env.set_max_parallelism({maximum})
numbers = env.add_source(Endless()).uid("numbers")
counted = numbers.key_by(lambda value: value, Types.LONG()).process(Count()).uid("{uid}")
env.enable_checkpointing(10)
env.get_checkpoint_config().set_externalized_checkpoint_retention(
    __import__("millpond.datastream", fromlist=["x"]).ExternalizedCheckpointRetention
    .RETAIN_ON_CANCELLATION
)
env.execute()
"""


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A snapshot of the first version of a program, and a way to write other versions."""
    directory = tmp_path_factory.mktemp("check")
    number = 0

    def program(**changes):
        nonlocal number
        number += 1
        text = {
            "field": "count: int",
            "type": "LONG",
            "more": "",
            "checkpoints": (directory / "checkpoints").as_uri(),
            "maximum": 16,
            "uid": "count",
            **changes,
        }
        path = directory / f"program{number}.py"
        path.write_text(PROGRAM.format(**text))
        return path

    first = directory / "first.py"
    source = program().read_text()
    first.write_text(
        source.replace("env.execute()", "client = env.execute_async()")
        # The first one makes sure that records were read.
        + f"\nclient.trigger_savepoint({str(directory / 'sp')!r}).result(120)"
        + f"\nprint(client.stop_with_savepoint(False, {str(directory / 'sp')!r}).result(120))\n"
    )
    (directory / "endless.py").write_text(
        "from millpond.datastream.functions import SourceFunction\n"
        "class Endless(SourceFunction):\n"
        "    def run(self, ctx):\n"
        "        n = 0\n"
        "        while True:\n"
        "            n += 1\n"
        "            yield n % 50\n"
    )
    result = CliRunner().invoke(main, ["run", "--in-process", str(first)])
    assert result.exit_code == 0, (result.output, result.exception)
    return program, result.stdout.strip().splitlines()[-1]


def check(setting, *options, **changes):
    program, savepoint = setting
    path = program(**changes)
    arguments = ["savepoint", "check", str(path), savepoint, "--json", *options]
    result = CliRunner().invoke(main, arguments)
    found = {}
    for line in result.stdout.splitlines():
        record = json.loads(line)
        found[f"{record['operator']}/{record['state']}"] = (record["verdict"], record["detail"])
    return result.exit_code, found


def verdicts(found):
    return {name: verdict for name, (verdict, _) in found.items()}


def test_the_same_program_is_restored(setting):
    code, found = check(setting)
    assert code == 0
    assert verdicts(found)["count/count"] == "restored"
    assert verdicts(found)["count/record"] == "restored"
    assert verdicts(found)["count/event timers"] == "restored"


def test_a_field_less_is_migrated_one_more_without_default_refused(setting):
    code, found = check(setting, field="added: int = 7")
    assert (code, verdicts(found)["count/record"]) == (0, "migrated")
    code, found = check(setting, field="needed: int")
    assert (code, found["count/record"][0]) == (1, "refused")
    assert "needed" in found["count/record"][1]


def test_another_type_is_refused_and_a_new_state_is_new(setting):
    code, found = check(setting, type="STRING")
    assert (code, found["count/count"][0]) == (1, "refused")
    assert "VALUE<LONG>" in found["count/count"][1]
    more = 'runtime_context.get_list_state(ListStateDescriptor("more", Types.LONG()))'
    code, found = check(setting, more=more)
    assert (code, verdicts(found)["count/more"]) == (0, "new"), found


def test_state_without_operator_is_refused_or_dropped(setting):
    code, found = check(setting, uid="other")
    assert code == 1
    assert [verdict for verdict, detail in found.values() if "no operator" in detail] == ["refused"]
    code, found = check(setting, "-n", uid="other")
    assert code == 0
    assert [verdict for verdict, detail in found.values() if "no operator" in detail] == ["dropped"]


def test_another_max_parallelism_is_refused(setting):
    code, found = check(setting, maximum=32)
    assert code == 1
    assert "max parallelism was 16" in found["the job/"][1]


def test_a_failing_open_is_told(setting):
    code, found = check(setting, more="1 / 0")
    assert (code, found["count/"][0]) == (1, "refused")
    assert "ZeroDivisionError" in found["count/"][1]


def test_nothing_is_written_and_text_is_for_people(setting):
    program, savepoint = setting
    path = program(checkpoints=(path_of := "file:///nowhere/that/can/be/made"))
    result = CliRunner().invoke(main, ["savepoint", "check", str(path), savepoint])
    assert result.exit_code == 0, (result.output, path_of)
    assert result.stdout.endswith("It can be restored.\n")
    assert "restored       count / count" in result.stdout


def test_what_cannot_be_checked(setting, tmp_path):
    program, savepoint = setting
    (tmp_path / "empty.py").write_text("")
    result = CliRunner().invoke(main, ["savepoint", "check", str(tmp_path / "empty.py"), savepoint])
    assert "without executing a job" in result.stderr
    result = CliRunner().invoke(main, ["savepoint", "check", str(tmp_path / "no.py"), savepoint])
    assert "no such program" in result.stderr
    missing = str(tmp_path / "missing")
    result = CliRunner().invoke(main, ["savepoint", "check", str(program()), missing])
    assert result.exit_code == 1
    assert "missing" in result.stderr
