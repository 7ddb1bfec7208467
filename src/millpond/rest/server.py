"""`DashboardServer`: the socket it listens on, and what answers there."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, final

from millpond.clock import SystemClock
from millpond.errors import ConfigurationError, MissingDependencyError
from millpond.rest.changes import Changes
from millpond.rest.job_watch import JobWatch
from millpond.rest.operations import Operations
from millpond.rest.page import content_security_policy, page
from millpond.rest.protection import Protection, is_loopback
from millpond.rest.reads import Reads

if TYPE_CHECKING:
    from millpond.clock import Clock
    from millpond.rest.settings import RestSettings

__all__ = ("DashboardServer",)

_CONNECTIONS = 64
_GRACE_SECONDS = 3


@final
class DashboardServer:
    """Listens from the beginning, and answers while `run` goes on, until `stop` or a signal.

    Args:
        settings: where to listen, and what to show.
        token: who has it may change jobs.
        clock: for times that are shown.

    Attributes:
        port: the one that was free.

    Raises:
        ConfigurationError: none of the ports is free, or the address is not this machine's.
        MissingDependencyError: starlette or uvicorn is not installed.
    """

    def __init__(self, settings: RestSettings, token: str, clock: Clock | None = None) -> None:
        try:
            import uvicorn

            from millpond.rest.application import application
        except ImportError as error:
            raise MissingDependencyError(
                "The dashboard needs packages that are not installed.",
                hint="pip install 'millpond[dashboard]'",
            ) from error
        clock = clock or SystemClock()
        self._settings = settings
        self._token = token
        self._watch = JobWatch(clock, checkpoints=settings.checkpoints)
        self._socket = _listen(settings)
        self.port: int = self._socket.getsockname()[1]
        protected = Protection(
            application(
                Reads(self._watch, settings, clock),
                Changes(self._watch, Operations(clock)),
                page(),
            ),
            token=token,
            names=(settings.address, settings.bind_address),
            is_open=not is_loopback(self._socket.getsockname()[0]),
            policy=content_security_policy(),
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                protected,
                access_log=False,
                log_level="warning",
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    @property
    def url(self) -> str:
        """Where a browser finds it; the token stands behind ``#``, which no browser sends."""
        host, bound = self._settings.address, str(self._socket.getsockname()[0])
        if host.lower() == "localhost" and is_loopback(bound):
            # The name may lead to another address of loopback, where somebody else listens.
            host = bound
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}/#token={self._token}"

    def run(self) -> None:
        """Answer until it is stopped."""
        self._watch.start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.close()

    def close(self) -> None:
        """Listen no more; for a server that was not run."""
        self._watch.stop()
        self._socket.close()

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._server.should_exit = True


def _listen(settings: RestSettings) -> socket.socket:
    host = settings.bind_address.strip("[]")
    try:
        # As Flink: of a name with several addresses, the older kind.
        found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        family, _, _, _, address = found[0]
    except OSError as error:
        raise ConfigurationError(
            f"'{host}' is no address to listen on: {error.strerror}.",
            option="rest.bind-address",
        ) from None
    for port in settings.ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], port))
            listener.listen(_CONNECTIONS)
        except OSError as error:
            listener.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise ConfigurationError(
                    f"Cannot listen on '{host}': {error.strerror}.", option="rest.bind-address"
                ) from None
            reason = error.strerror
        else:
            return listener
    ports = ", ".join(map(str, settings.ports[:3])) + (", …" if len(settings.ports) > 3 else "")
    raise ConfigurationError(
        f"The dashboard cannot listen on port {ports}: {reason}.",
        hint="Give --port another one; 0 takes any that is free.",
        option="rest.bind-port",
    )
