"""Which presentation fits where the output goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from millpond.demo.plain_presentation import PlainPresentation

if TYPE_CHECKING:
    from millpond.clock import Clock
    from millpond.demo.presentation import Presentation

__all__ = ("open_presentation",)


def open_presentation(clock: Clock) -> Presentation:
    """Return a progress bar and tables on a terminal, else plain lines on standard output."""
    if not sys.stdout.isatty():
        return PlainPresentation(sys.stdout, clock)
    from rich.console import Console

    from millpond.demo.rich_presentation import RichPresentation

    return RichPresentation(Console(highlight=False), clock)
