"""`Protection`: which requests are let in, and what every answer says to browsers."""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any, Final, final

from millpond.engines.control_directory import control_directory
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from pathlib import Path

    from starlette.types import ASGIApp

__all__ = ("Protection", "dashboard_token", "is_loopback")

VARIABLE: Final = "MILLPOND_DASHBOARD_TOKEN"
_FILE: Final = "dashboard.token"
_SHORTEST: Final = 16
_READING: Final = frozenset({"GET", "HEAD"})
_BEARER: Final = b"bearer "
_REFUSED: Final = (
    "This request needs the token that `millpond dashboard` prints: send it as "
    "'Authorization: Bearer <token>'."
)
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


def dashboard_token() -> str:
    """Return the token: of the environment, or of a file of mode 0600, made at the first call.

    Raises:
        ConfigurationError: it is too short, or the file is not this user's alone.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return _token_in(control_directory(create=True) / _FILE)
    return _checked(given, VARIABLE)


def _token_in(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise ConfigurationError(
                "The file with the dashboard's token is not this user's alone.",
                hint=f"Remove it, or set the environment variable {VARIABLE}.",
                path=path,
            ) from None
        return _checked(path.read_text("utf-8"), str(path))
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token)
    return token


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
        raise ConfigurationError(
            f"The dashboard's token must have {_SHORTEST} printable characters or more.",
            where=where,
        )
    return token


def is_loopback(address: str) -> bool:
    """Say whether only this machine reaches an address."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@final
class Protection:
    """Around the application (ASGI).

    A request must be addressed to a name of this server, so that no page of another site gets in
    by pointing its own name here (DNS rebinding). What changes something needs the token, and
    beyond loopback everything but the page itself, which holds nothing of any job. Answers are for
    no other site, and the page runs only what is in it.

    Args:
        application: answers what is let in.
        token: `Authorization: Bearer <token>`.
        names: hosts that requests may be addressed to, beside those of loopback.
        is_open: others than this machine can reach the server.
        policy: the Content-Security-Policy.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        token: str,
        names: Iterable[str],
        is_open: bool,
        policy: str,
    ) -> None:
        self._application = application
        self._token = token.encode()
        self._names = {*_LOOPBACK_NAMES, *(_in_header(name.lower()) for name in names)}
        self._is_open = is_open
        self._headers = [
            (name.encode(), value.encode())
            for name, value in {
                "content-security-policy": policy,
                "cross-origin-opener-policy": "same-origin",
                "cross-origin-resource-policy": "same-origin",
                "referrer-policy": "no-referrer",
                "x-content-type-options": "nosniff",
                "x-frame-options": "DENY",
                "cache-control": "no-store",
            }.items()
        ]

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_protected(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._application(scope, receive, send_protected)
            return
        status, text, headers = refusal
        body = json.dumps({"errors": [text]}).encode()
        length = (b"content-length", str(len(body)).encode())
        kind = (b"content-type", b"application/json")
        start = {"type": "http.response.start", "status": status}
        await send_protected({**start, "headers": [kind, length, *headers]})
        await send_protected({"type": "http.response.body", "body": body})

    def _refusal(
        self, scope: MutableMapping[str, Any]
    ) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_own(hosts[0].decode("latin-1")):
            return 403, "The request is addressed to a host that this server is not.", []
        is_read = scope["method"] in _READING
        if is_read and (not self._is_open or scope["path"] == "/"):
            return None
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) == 1 and self._is_token(sent[0]):
            return None
        return 401, _REFUSED, [(b"www-authenticate", b"Bearer")]

    def _is_own(self, host: str) -> bool:
        # Whatever the port is: tunnels change it, and a name is what rebinding needs.
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() in self._names:
            return True
        # An address cannot be pointed elsewhere by who owns a name.
        return self._is_open and _is_address(name)

    def _is_token(self, header: bytes) -> bool:
        if header[: len(_BEARER)].lower() != _BEARER:
            return False
        return hmac.compare_digest(header[len(_BEARER) :].strip(), self._token)


def _in_header(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
