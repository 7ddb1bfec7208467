"""`millpond dashboard`: a page with the running jobs, and Flink's REST API."""

from __future__ import annotations

import contextlib

import click

__all__ = ("command",)


@click.command("dashboard")
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen there; 0: any free port.")
@click.option("--host", help="Listen on this address instead of localhost.")
@click.option("--config-dir", metavar="DIR", help="Directory of the configuration file.")
@click.option(
    "-D", "definitions", multiple=True, metavar="KEY=VALUE", help="Set an option; may be repeated."
)
def command(
    *, port: int | None, host: str | None, config_dir: str | None, definitions: tuple[str, ...]
) -> None:
    """Show the jobs that `millpond run` runs for this user on this machine.

    The URL that is printed holds a token: who has it may stop and cancel jobs. It stands in the
    file dashboard.token beside the jobs' sockets, or in MILLPOND_DASHBOARD_TOKEN.
    """
    from millpond.configuration.effective_configuration import load_configuration, log_notices
    from millpond.rest.protection import dashboard_token, is_loopback
    from millpond.rest.server import DashboardServer
    from millpond.rest.settings import RestSettings

    loaded = load_configuration(config_dir, definitions)
    log_notices(loaded)
    settings = RestSettings.of(loaded.to_configuration(), host=host, port=port)
    server = DashboardServer(settings, dashboard_token())
    click.echo(f"Dashboard: {server.url}")
    if not is_loopback(settings.bind_address):
        click.echo(
            "It can be reached from other machines, without encryption: every request needs the "
            "token.",
            err=True,
        )
    click.echo("Press Ctrl-C to end it; jobs go on.")
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
