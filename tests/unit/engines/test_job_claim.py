"""With high availability one process of a machine runs a job; a second one is told so."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from millpond.common import Configuration, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith, Program
from millpond.datastream.state_backend import FsStateBackend
from millpond.datastream.transformation import JobDescription
from millpond.engines.embedded import EmbeddedEngine
from millpond.engines.job_claim import claim_job, release_job
from millpond.errors import ConfigurationError, MillpondError
from millpond.filesystem.owner import own, remove_owned

HOLD = """
import sys
from millpond.common import Configuration
from millpond.datastream.engine import Program
from millpond.datastream.transformation import JobDescription
from millpond.engines.job_claim import claim_job, release_job
configuration = Configuration.from_dict({OPTIONS})
print(claim_job(Program(JobDescription("job"), configuration), {JOB_ID}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def options(tmp_path):
    return {
        "high-availability.type": "zookeeper",
        "high-availability.storageDir": (tmp_path / "available").as_uri(),
        "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
    }


def claim(options, job_id=None):
    return claim_job(Program(JobDescription("job"), Configuration.from_dict(options)), job_id)


@contextlib.contextmanager
def held(options, job_id=None):
    """Let another process run the job."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD.replace("{OPTIONS}", repr(options)).replace("{JOB_ID}", repr(job_id)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().strip() != "None"
        yield process
        process.kill()


@pytest.fixture
def holder(options):
    with held(options) as process:
        yield process


def execute(options):
    env = StreamExecutionEnvironment.get_execution_environment(Configuration.from_dict(options))
    env.from_collection([1, 2], Types.LONG()).map(lambda value: value)
    return env.execute()


def test_a_second_process_is_told_and_changes_nothing(options, holder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigurationError, match="Another process runs a job") as error:
        execute(options)
    assert error.value.context["process"] == str(holder.pid)
    assert error.value.context["cluster_id"] == "/default"
    assert "high-availability.cluster-id" in error.value.hint
    assert sorted(tmp_path.rglob("*")) == before
    execute({**options, "high-availability.cluster-id": "/another"})


def test_who_was_killed_runs_it_no_longer(options, holder):
    holder.kill()
    holder.wait()
    execute(options)


def test_nothing_is_left_when_the_job_is_over(options, tmp_path):
    execute(options)
    assert not list(tmp_path.rglob("owner.lock"))
    claimed = claim(options)
    assert (claimed / "owner.lock").read_text() == str(os.getpid())
    remove_owned(claimed)


def test_a_job_that_cannot_be_opened_gives_its_claim_back(options, tmp_path):
    with pytest.raises(ConfigurationError):
        execute({**options, "state.backend.type": "rockdb"})
    assert not list(tmp_path.rglob("owner.lock"))


@pytest.mark.parametrize(
    "change",
    [{"high-availability.type": "NONE"}, {"high-availability.storageDir": "memory:///available"}],
    ids=["off", "elsewhere"],
)
def test_nobody_claims_what_is_not_on_this_machine(options, change):
    assert claim({**options, **change}) is None


def test_a_place_that_cannot_be_made_is_left_to_the_pointers(options, tmp_path):
    (tmp_path / "available").write_text("a file")
    assert claim(options) is None
    with pytest.raises(MillpondError, match="available"):
        execute({**options, "execution.checkpointing.interval": "10 ms"})


JOB_ID = "0" * 31 + "a"


@pytest.mark.parametrize("in_code", [False, True])
def test_a_job_by_its_id_runs_once(tmp_path, in_code):
    url = (tmp_path / "checkpoints").as_uri()
    engine = EmbeddedEngine(job_id=JOB_ID, resume=True)

    def run():
        options = {} if in_code else {"execution.checkpointing.dir": url}
        env = StreamExecutionEnvironment.get_execution_environment(Configuration.from_dict(options))
        if in_code:
            env.set_state_backend(FsStateBackend(url))
        env.enable_checkpointing(10)
        env.from_collection([1, 2], Types.LONG()).map(lambda value: value)
        env.execute()

    with LaunchWith(Launch(engine)):
        with held({"execution.checkpointing.dir": url}, JOB_ID) as process:
            before = sorted(tmp_path.rglob("*"))
            with pytest.raises(ConfigurationError, match="Another process runs a job") as error:
                run()
            assert error.value.context == {"job": JOB_ID, "process": str(process.pid)}
            assert error.value.hint.startswith("Give each job an id of its own, or wait")
            assert sorted(tmp_path.rglob("*")) == before
        run()
    assert not list(tmp_path.rglob("owner.lock"))


def test_an_id_without_a_directory_claims_nothing():
    assert claim({}, JOB_ID) is None


def test_two_jobs_of_one_process_do_not_share_an_id(tmp_path):
    options = {"execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri()}
    first = claim(options, JOB_ID)
    with pytest.raises(ConfigurationError, match="This process runs a job with this id") as error:
        claim(options, JOB_ID)
    assert error.value.hint == "Give each job an id of its own, or wait for the end of that job."
    assert error.value.context["process"] == str(os.getpid())
    remove_owned(first)
    remove_owned(claim(options, JOB_ID))


@pytest.mark.parametrize("job_id", [None, JOB_ID])
def test_a_start_that_is_refused_leaves_no_directories(job_id, tmp_path):
    options = {
        "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
        "execution.checkpointing.interval": "1 h",
        "execution.state-recovery.path": (tmp_path / "nowhere").as_uri(),
    }
    with LaunchWith(Launch(EmbeddedEngine(job_id=job_id))):
        with pytest.raises(MillpondError, match="holds no _metadata"):
            execute(options)
        assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("retention", ["NO_EXTERNALIZED_CHECKPOINTS", "RETAIN_ON_CANCELLATION"])
def test_a_job_that_fails_before_its_first_checkpoint_leaves_none(retention, tmp_path):
    options = {
        "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
        "execution.checkpointing.interval": "1 h",
        "execution.checkpointing.externalized-checkpoint-retention": retention,
        "restart-strategy.type": "none",
    }
    env = StreamExecutionEnvironment.get_execution_environment(Configuration.from_dict(options))
    env.from_collection([0], Types.LONG()).map(lambda value: 1 // value)
    with pytest.raises(ZeroDivisionError):
        env.execute()
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_claim_is_made_although_the_last_one_ends_meanwhile(options, tmp_path, monkeypatch):
    first = claim(options)
    ended = []

    def own_late(directory, **options):
        if not ended:
            ended.append(directory)
            directory.rmdir()
            release_job(first)
            assert not first.parent.exists()
        own(directory, **options)

    monkeypatch.setattr("millpond.engines.job_claim.own", own_late)
    second = claim({**options, "high-availability.cluster-id": "another"})
    assert second == ended[0]
    assert second.is_dir()
    release_job(second)
    assert not second.parent.exists()
