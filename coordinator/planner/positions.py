"""Where in the researcher's SQL something stands: from the positions that the parser leaves on identifiers."""

from __future__ import annotations

from sqlglot import exp

from archipel.errors import Position


def position_of(node: exp.Expr) -> Position | None:
    """Return the place of the first identifier at or below ``node`` that has one."""
    found: tuple[int, Position] | None = None
    for part in node.walk():
        meta = part.meta
        if "line" not in meta or "col" not in meta:
            continue
        # The parser gives the column of the token's last character.
        start, end = int(meta.get("start", 0)), int(meta.get("end", 0))
        place = Position(int(meta["line"]), max(1, int(meta["col"]) - (end - start)))
        if found is None or start < found[0]:
            found = (start, place)
    return found[1] if found else None
