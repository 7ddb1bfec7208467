"""Path text: joining, splitting, and refusing names that lead out of a directory."""

from __future__ import annotations

__all__ = ("directory_of", "is_plain_name", "join", "name_of", "scheme_of")


def join(directory: str, *names: str) -> str:
    """Append names to a path or URL.

    >>> join("s3://bucket/flink/", "shared", "a")
    's3://bucket/flink/shared/a'
    """
    root = _root_of(directory)
    return "/".join((root + directory[len(root) :].rstrip("/"), *names))


def name_of(path: str) -> str:
    """Return the last name of a path or URL."""
    return path.rstrip("/").rpartition("/")[2]


def directory_of(path: str) -> str:
    """Return everything before the last name of a path or URL; the root for a name in it.

    >>> directory_of("/checkpoints"), directory_of("file:///checkpoints")
    ('/', 'file:///')
    """
    root = _root_of(path)
    return root + (path[len(root) :].rstrip("/").rpartition("/")[0] or "/")


def is_plain_name(name: str) -> bool:
    """Return whether a name taken from a snapshot names a file of the directory itself."""
    return name not in {"", ".", ".."} and not any(mark in name for mark in ("/", "\\", "\0", ":"))


def scheme_of(url: str) -> str:
    """Return the URL's scheme in lower case; empty for a bare path.

    A single letter is a Windows drive, not a scheme.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or len(scheme) < 2 or not scheme.isascii() or not scheme[0].isalpha():
        return ""
    return scheme.lower() if all(mark.isalnum() or mark in "+-." for mark in scheme) else ""


def _root_of(url: str) -> str:
    """Return what stands before the path in a URL: scheme and host; empty for a bare path."""
    scheme = scheme_of(url)
    if not scheme:
        return ""
    length = len(scheme) + 1
    if url.startswith("//", length):
        host_end = url.find("/", length + 2)
        length = len(url) if host_end < 0 else host_end
    return url[:length]
