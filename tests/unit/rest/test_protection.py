"""Who is let in, and what browsers are told."""

from __future__ import annotations

import stat

import pytest

from millpond.engines.control_directory import control_directory
from millpond.errors import ConfigurationError
from millpond.rest.page import content_security_policy, page
from millpond.rest.protection import dashboard_token, is_loopback

JOB = "0b5e" * 8
SECRET = "x" * 40


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8081", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("[::1]", 200),
        # A tunnel has another port.
        ("localhost:9000", 200),
        ("evil.example:8081", 403),
        ("localhost.evil.example", 403),
        ("192.168.0.7:8081", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_hosts(site, host, status):
    answer = site.get("/jobs", host=host)
    assert answer.status == status
    if status == 403:
        assert answer.json == {
            "errors": ["The request is addressed to a host that this server is not."]
        }


def test_two_hosts_are_none(site):
    assert site.get("/jobs", headers=[("Host", "localhost")]).status == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/jobs/{JOB}/savepoints"),
        ("POST", f"/v1/jobs/{JOB}/stop"),
        ("POST", f"/jobs/{JOB}/checkpoints"),
        ("PATCH", f"/jobs/{JOB}?mode=cancel"),
        ("DELETE", f"/jobs/{JOB}"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Basic abc")],
        [("Cookie", "token=a-token-of-32-characters-for-tests")],
    ],
)
def test_changes_need_the_token(site, method, path, headers):
    answer = site.ask(method, path, headers=headers)
    assert answer.status == 401
    assert "Authorization: Bearer <token>" in answer.json["errors"][0]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert site.watch.asked == []


def test_beyond_loopback_reading_needs_it_too(make_site, token):
    site = make_site(is_open=True, names=("mill.example",))
    assert site.get("/jobs", host="mill.example:8081").status == 401
    assert site.get("/jobs", host="mill.example:8081", token=token).status == 200
    # By its address, whatever that is; but by no other name.
    assert site.get("/jobs", host="192.168.0.7:8081", token=token).status == 200
    assert site.get("/jobs", host="evil.example", token=token).status == 403
    # The page holds nothing of any job, and shows nothing without the token.
    assert site.get("/", host="mill.example").status == 200


def test_what_browsers_are_told(site):
    for answer in (site.get("/"), site.get("/jobs"), site.get("/nothing"), site.get("/", host="x")):
        headers = answer.headers
        assert headers["content-security-policy"] == content_security_policy()
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert not [name for name in headers if name.startswith("access-control")]
    preflight = site.ask("OPTIONS", f"/jobs/{JOB}", headers=[("Origin", "https://evil.example")])
    assert preflight.status == 401


def test_the_page_is_whole_and_runs_nothing_else():
    text = page()
    assert text.count("<script>") == text.count("<style>") == 1
    assert '"use strict"' in text
    policy = content_security_policy()
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    # Names of jobs are text: nothing makes markup of a string.
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in text
    # The namespace of SVG is no request.
    assert text.replace("http://www.w3.org/2000/svg", "").count("//www") == 0
    assert "https://" not in text
    assert "src=" not in text
    assert " style=" not in text


def test_what_jobs_are_called_is_data(site):
    answer = site.get(f"/jobs/{JOB}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["name"] == "<script>alert(1)</script> & co"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, "Not found: /nothing"),
        ("GET", "/jobs/x", 400, "Bad request: 'x' is no job id: 32 hexadecimal digits."),
        ("GET", f"/jobs/{'1' * 32}", 404, f"Job {'1' * 32} not found"),
        ("DELETE", f"/jobs/{JOB}", 405, f"DELETE is not allowed for /jobs/{JOB}"),
        ("POST", "/overview", 405, "POST is not allowed for /overview"),
    ],
)
@pytest.mark.parametrize("version", ["", "/v1"])
def test_errors_are_worded_as_flinks(site, token, version, method, path, status, text):
    answer = site.ask(method, version + path, token=token)
    assert answer.status == status
    assert answer.json == {
        "errors": [text.replace("for /", f"for {version}/").replace(": /", f": {version}/")]
    }


def test_every_path_is_there_with_the_version(site):
    for path in ("/overview", "/config", "/jobs", f"/jobs/{JOB}/checkpoints/details/2"):
        assert site.get(f"/v1{path}").json == site.get(path).json


def test_bodies(site, token):
    path = f"/jobs/{JOB}/stop"
    large = site.ask("POST", path, token=token, parts=[b" " * 40_000] * 3)
    assert (large.status, large.json) == (
        413,
        {"errors": ["The body has more than 65536 bytes."]},
    )
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    refused = site.ask("POST", path, b"targetDirectory=/s", token=token, headers=form)
    assert refused.status == 415
    assert refused.json["errors"][0].startswith("The body must be JSON")
    deep = site.ask("POST", path, b"[" * 60_000, token=token)
    assert deep.status == 400
    assert site.watch.asked == []


def test_a_defect_shows_no_traceback(site, monkeypatch, caplog):
    monkeypatch.setattr(site.watch, "reports", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        site.get("/jobs")
    assert "A request failed." in caplog.text


# -- the token


@pytest.fixture
def jobs_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLPOND_JOBS_DIR", str(tmp_path / "jobs"))
    monkeypatch.delenv("MILLPOND_DASHBOARD_TOKEN", raising=False)
    return tmp_path / "jobs"


def test_the_token_stays_in_a_file_of_the_user(jobs_directory):
    token = dashboard_token()
    path = jobs_directory / "dashboard.token"
    assert (path.read_text(), len(token) >= 32) == (token, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dashboard_token() == token
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="not this user's alone"):
        dashboard_token()
    path.unlink()
    assert dashboard_token() != token


def test_a_token_of_the_environment(jobs_directory, monkeypatch):
    monkeypatch.setenv("MILLPOND_DASHBOARD_TOKEN", SECRET)
    assert dashboard_token() == SECRET
    assert not (jobs_directory / "dashboard.token").exists()
    for bad in ("short", "", "ä" * 20, "x" * 20 + "\n" + "y"):
        monkeypatch.setenv("MILLPOND_DASHBOARD_TOKEN", bad)
        with pytest.raises(ConfigurationError, match="16 printable characters"):
            dashboard_token()


def test_a_link_is_no_token(jobs_directory, tmp_path):
    (tmp_path / "elsewhere").write_text(SECRET)
    control_directory(create=True)
    (jobs_directory / "dashboard.token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="not this user's alone"):
        dashboard_token()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("mill.example", False),
    ],
)
def test_loopback(address, loopback):
    assert is_loopback(address) is loopback
