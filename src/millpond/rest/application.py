"""The application: routes, JSON in and out, and errors as Flink words them."""

from __future__ import annotations

import functools
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route

from millpond.errors import JobNotFoundError, MillpondError
from millpond.rest.call import Call, HttpError
from millpond.rest.operations import TooManyOperationsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from millpond.rest.changes import Changes
    from millpond.rest.reads import Reads

__all__ = ("application",)

_logger = logging.getLogger(__name__)

_MOST_BODY_BYTES: Final = 64 * 1024


def application(reads: Reads, changes: Changes, page: str) -> Starlette:
    """Return the application; every path is there under ``/v1`` as well."""
    handlers: dict[str, dict[str, tuple[int, Callable[[Call], Any]]]] = {}
    for path, read in reads.routes().items():
        handlers.setdefault(path, {})["GET"] = (200, read)
    for (method, path), answer in changes.routes().items():
        handlers.setdefault(path, {})[method] = answer
    # A fixed part goes before a parameter in the same place.
    ordered = sorted(handlers.items(), key=lambda each: [part[:1] == "{" for part in _parts(each)])
    routes = [Route(path, _endpoint(methods), methods=[*methods]) for path, methods in ordered]

    async def show(_: Request) -> Response:
        return HTMLResponse(page)

    return Starlette(
        routes=[Route("/", show, methods=["GET"]), *routes, Mount("/v1", routes=routes)],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )


def _parts(each: tuple[str, Any]) -> list[str]:
    return each[0].split("/")


def _endpoint(
    methods: dict[str, tuple[int, Callable[[Call], Any]]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        status, handler = methods["GET" if request.method == "HEAD" else request.method]
        try:
            body = {} if request.method in {"GET", "HEAD"} else await _body(request)
            call = Call(request.path_params, request.query_params, body)
            answer = await run_in_threadpool(functools.partial(handler, call))
        except HttpError as error:
            return _errors(error.status, error.message)
        except JobNotFoundError as error:
            return _errors(404, error.message)
        except TooManyOperationsError as error:
            return _errors(503, error.message)
        except MillpondError as error:
            return _errors(500, str(error))
        return JSONResponse(answer, status)

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    """Return the object that the body holds; nothing is an empty one. Raises HttpError."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > _MOST_BODY_BYTES:
            raise HttpError(413, f"The body has more than {_MOST_BODY_BYTES} bytes.")
    if not data.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpError(415, "The body must be JSON: send 'Content-Type: application/json'.")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise HttpError(400, "Bad request: the body is no JSON.") from None
    if not isinstance(found, dict):
        raise HttpError(400, "Bad request: the body must be an object of JSON.")
    return found


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _errors(404, f"Not found: {request.url.path}")
    if error.status_code == 405:
        text = f"{request.method} is not allowed for {request.url.path}"
        return _errors(405, text, error.headers)
    return _errors(error.status_code, str(error.detail), error.headers)


async def _fail(_: Request, error: Exception) -> Response:
    _logger.error("A request failed.", exc_info=error)
    return _errors(500, "Internal server error.")


def _errors(status: int, text: str, headers: Any = None) -> Response:
    return JSONResponse({"errors": [text]}, status, headers=headers)
