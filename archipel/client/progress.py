"""Progress of a running query, for people: one line on the standard error of a terminal; silent elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from archipel.client.model import Event

Show = Callable[[Event], None]


@contextlib.contextmanager
def shown(wanted: bool | None) -> Iterator[Show]:
    """Give a function that shows events. None means: in a terminal or a notebook only."""
    terminal = sys.stderr.isatty()
    if wanted is False or (wanted is None and not terminal and not _in_notebook()):
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
