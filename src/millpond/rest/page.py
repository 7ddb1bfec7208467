"""The page: one document without anything from elsewhere, and the policy that holds it to that."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ("content_security_policy", "page")

_ASSETS: Final = Path(__file__).parent / "assets"
_SCRIPTS: Final = (
    "elements.js",
    "words.js",
    "jobs.js",
    "checkpoints.js",
    "changes.js",
    "main.js",
)


@cache
def page() -> str:
    """Return the page, with its styles and its script in it."""
    html = _read("page.html")
    html = html.replace("<style></style>", f"<style>{_styles()}</style>")
    return html.replace("<script></script>", f"<script>{_script()}</script>")


@cache
def content_security_policy() -> str:
    """Return the policy: only the page's own script and styles, by their digests, do anything."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(_script())}",
            f"style-src {_digest(_styles())}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _styles() -> str:
    return _read("page.css")


def _script() -> str:
    return "\n".join(map(_read, _SCRIPTS))


def _read(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
