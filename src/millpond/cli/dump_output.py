"""`dump_output`: where `millpond savepoint dump` writes: stdout, or a file once it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ("dump_output",)


@contextlib.contextmanager
def dump_output(name: str | None) -> Iterator[BinaryIO]:
    """Open a file for writing, or stdout if it has no name.

    A file appears, or replaces another one, when it is complete: until then, and if anything fails,
    what was there stays. Devices and pipes are written to as they are.

    Raises:
        ClickException: it cannot be written.
    """
    path = Path(name or "stdout")
    in_place = name is None or (path.exists() and not path.is_file())
    partial = path if in_place else path.with_name(f".{path.name}.partial")
    try:
        if name is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        with partial.open("wb") as file:
            yield file
            file.flush()
            if not in_place:
                os.fsync(file.fileno())
        if not in_place:
            partial.replace(path)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        if not in_place:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
