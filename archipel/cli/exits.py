"""Exit codes of the command line, and how an error is shown to a person."""

from __future__ import annotations

import sys
from enum import IntEnum

from archipel import errors


class Exit(IntEnum):
    """What the process returns. The numbers are documented in docs/cli.md and never change their meaning."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REQUEST = 3
    NOT_ALLOWED = 4
    OPERATION = 5
    INCOMPLETE = 6
    INTERRUPTED = 130


_BY_FAULT = {
    errors.Fault.REQUEST: Exit.REQUEST,
    errors.Fault.PERMISSION: Exit.NOT_ALLOWED,
    errors.Fault.OPERATION: Exit.OPERATION,
    errors.Fault.INTERNAL: Exit.INTERNAL,
}


def exit_code(problem: errors.ArchipelError) -> Exit:
    """Return the exit code of an error."""
    return _BY_FAULT[problem.info.code.fault]


def show(problem: errors.ArchipelError, sql: str | None = None) -> None:
    """Print an error for a person to the standard error, with the place in the SQL underlined."""
    info = problem.info
    where = f" ({info.position})" if info.position else ""
    node = f" [node {info.node}]" if info.node else ""
    print(f"error {info.code.name}{where}{node}: {info.message}", file=sys.stderr)
    if sql is not None and info.position is not None:
        lines = sql.splitlines()
        if 1 <= info.position.line <= len(lines):
            line = lines[info.position.line - 1]
            before = "".join("\t" if c == "\t" else " " for c in line[: info.position.column - 1])
            print(f"  {line}\n  {before}^", file=sys.stderr)
    if info.rule:
        print(f"rule: {info.rule}", file=sys.stderr)
    if info.hint:
        print(f"hint: {info.hint}", file=sys.stderr)
    if info.query_id:
        print(f"query: {info.query_id}", file=sys.stderr)
