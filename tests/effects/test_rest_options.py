"""Where the dashboard listens, and what it shows."""

from __future__ import annotations

import pytest

from millpond.clock import ManualClock
from millpond.common.configuration import Configuration
from millpond.errors import ConfigurationError
from millpond.rest.call import Call
from millpond.rest.job_watch import JobWatch
from millpond.rest.reads import Reads
from millpond.rest.server import DashboardServer
from millpond.rest.settings import RestSettings


def settings(options, **command_line):
    return RestSettings.of(Configuration.from_dict(options), **command_line)


def config(options):
    clock = ManualClock()
    chosen = settings(options)
    reads = Reads(JobWatch(clock, checkpoints=chosen.checkpoints), chosen, clock)
    return reads.routes()["/config"](Call())


@pytest.fixture
def listen():
    servers = []

    def begin(options, **command_line):
        servers.append(DashboardServer(settings(options, **command_line), "t" * 20))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.mark.option("rest.port")
def test_the_port():
    assert settings({}).ports == (8081,)
    assert settings({"rest.port": "9000"}).ports == (9000,)
    assert settings({"rest.port": "9000"}, port=9001).ports == (9001,)
    with pytest.raises(ConfigurationError, match=r"'70000' in 'rest\.port' is no port"):
        settings({"rest.port": "70000"})


@pytest.mark.option("rest.bind-port")
def test_the_port_to_listen_on(listen):
    taken = listen({"rest.bind-port": "0"}).port
    chosen = settings({"rest.port": "9000", "rest.bind-port": "9100-9102,9200"})
    assert chosen.ports == (9100, 9101, 9102, 9200)
    # One that is taken is passed over.
    assert listen({"rest.bind-port": f"{taken},0"}).port != taken
    with pytest.raises(ConfigurationError, match=f"cannot listen on port {taken}") as caught:
        listen({"rest.bind-port": str(taken)})
    assert "--port" in caught.value.hint


@pytest.mark.option("rest.address")
def test_the_name_in_the_url(listen):
    server = listen(
        {"rest.address": "mill.example", "rest.bind-address": "127.0.0.1", "rest.bind-port": "0"}
    )
    assert server.url == f"http://mill.example:{server.port}/#token={'t' * 20}"


@pytest.mark.option("rest.bind-address")
def test_the_address_to_listen_on(listen):
    assert settings({}).bind_address == "localhost"
    assert settings({"rest.address": "mill.example"}).bind_address == "mill.example"
    options = {"rest.address": "localhost", "rest.bind-address": "127.0.0.2", "rest.port": "0"}
    assert settings(options).bind_address == "127.0.0.2"
    # Of localhost the address is printed: the name may lead to another one.
    server = listen({"rest.bind-address": "127.0.0.1", "rest.port": "0"})
    assert server.url.startswith("http://127.0.0.1:")
    assert settings(options, host="0.0.0.0").address == "localhost"
    assert settings(options, host="127.0.0.3").bind_address == "127.0.0.3"
    with pytest.raises(ConfigurationError, match="no address to listen on"):
        listen({"rest.bind-address": "not an address", "rest.port": "0"})


@pytest.mark.option("web.refresh-interval")
def test_the_refresh_interval():
    assert config({})["refresh-interval"] == 3_000
    assert config({"web.refresh-interval": "7 s"})["refresh-interval"] == 7_000
    # In Flink 1.12 it is a number of ms.
    assert config({"web.refresh-interval": "500"})["refresh-interval"] == 500


@pytest.mark.option("web.checkpoints.history")
def test_how_many_checkpoints_are_shown():
    assert settings({}).checkpoints == 10
    assert settings({"web.checkpoints.history": "25"}).checkpoints == 25
    assert settings({"web.checkpoints.history": "5000"}).checkpoints == 1_000


@pytest.mark.option("web.cancel.enable")
def test_the_button_that_cancels():
    assert config({})["features"]["web-cancel"] is True
    assert config({"web.cancel.enable": "false"})["features"]["web-cancel"] is False
