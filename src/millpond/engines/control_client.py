"""Finding the running jobs of this user, and asking one of them for something."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.engines.control_directory import control_directory, is_own_peer
from millpond.errors import JobNotFoundError, JobRequestError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("RunningJobs", "ask_exactly", "ask_job", "job_ids", "running_jobs")

_STATUS_SECONDS = 5.0


class RunningJobs(NamedTuple):
    """The jobs that there are.

    `answering` has their status, oldest first; `silent` says of others, by id, what is the matter.
    """

    answering: list[dict[str, Any]]
    silent: dict[str, str]


def running_jobs() -> RunningJobs:
    """Ask every job for its status; sockets left over are removed.

    Raises:
        ConfigurationError: the directory of sockets is not this user's alone.
    """
    jobs: list[dict[str, Any]] = []
    silent: dict[str, str] = {}
    for path in sorted(control_directory(create=False).glob("*.sock")):
        try:
            jobs.append(_ask(path, {"command": "status"}, _STATUS_SECONDS))
        except ConnectionRefusedError:
            # Its process is gone without a word.
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # it ended just now
        except TimeoutError:
            silent[path.stem] = f"it did not answer within {_STATUS_SECONDS:g} s"
        except OSError as error:
            silent[path.stem] = str(error)
    return RunningJobs(sorted(jobs, key=lambda job: int(job["started_ms"])), silent)


def job_ids() -> set[str]:
    """Return the ids of jobs that have a socket; some may be gone without a word.

    Raises:
        ConfigurationError: the directory of sockets is not this user's alone.
    """
    return {path.stem for path in control_directory(create=False).glob("*.sock")}


def ask_exactly(
    job_id: str, request: dict[str, Any], timeout_seconds: float | None
) -> dict[str, Any]:
    """Send a request to the job with this id; wait for the answer, None: as long as it takes.

    Raises:
        JobRequestError: the job refused.
        OSError: it does not answer, or went away.
    """
    path = control_directory(create=False) / f"{job_id}.sock"
    try:
        answer = _ask(path, request, timeout_seconds)
    except ConnectionRefusedError:
        # Its process is gone without a word.
        path.unlink(missing_ok=True)
        raise
    if "error" in answer:
        raise JobRequestError(
            answer["error"], hint=answer.get("hint"), **(answer.get("context") or {})
        )
    return answer


def ask_job(job: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a job, named by its id, the beginning of it, or its name; wait for it.

    Raises:
        JobNotFoundError: no running job, or more than one, has this name.
        JobRequestError: the job refused, failed meanwhile, or went away.
    """
    jobs, silent = running_jobs()
    names: dict[str, str | None] = {one["job_id"]: one["name"] for one in jobs}
    # A job that is busy for long can be named by its id, and is waited for.
    names |= dict.fromkeys(silent)
    found = [each for each in names if each == job]
    found = found or [each for each in names if each.startswith(job) or names[each] == job]
    if len(found) != 1:
        known = ", ".join(f"{each} ({name or silent[each]})" for each, name in names.items())
        raise JobNotFoundError(
            f"{'More than one' if found else 'No'} running job is called {job!r}.",
            hint=f"Running jobs of this user: {known or 'none'}.",
        )
    try:
        return ask_exactly(found[0], request, None)
    except OSError as error:
        raise JobRequestError(f"The job does not answer: {error}.", job=job) from error


def _ask(path: Path, request: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        if not is_own_peer(connection):
            raise OSError("it runs as another user")
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            line = stream.readline()
    if not line:
        raise OSError("it ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    return answer
