"""Progress of a running query, for people: one line on the standard error of a terminal; silent elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from archipel.client.model import Event

Show = Callable[[Event], None]


def wanted(progress: bool | None) -> bool:
    """Whether anybody will see it. None means: in a terminal or a notebook only."""
    return sys.stderr.isatty() or _in_notebook() if progress is None else progress


@contextlib.contextmanager
def shown(progress: bool | None) -> Iterator[Show]:
    """Give a function that shows events, if they are ``wanted``."""
    if not wanted(progress):
        yield lambda event: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    delivered: set[str] = set()
    with console.status("queued") as status:

        def show(event: Event) -> None:
            if event.kind == "delivered" and event.node:
                delivered.add(event.node)
            done = f" ({len(delivered)} nodes have answered)" if delivered else ""
            where = f" {event.node}" if event.node else ""
            status.update(f"{event.kind}{where}{done}")

        yield show


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})
