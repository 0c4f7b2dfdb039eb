"""What a border check is asked and what it answers. Data only.

The check itself is ``archipel.border.check``: a pure function of statement, tables, policy and permit. The node
decides by it; the coordinator runs the same function beforehand over the advertised policies, so that a
researcher is refused early and with a position in their own SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archipel.permit import Permit
from archipel.schema import Column, Form, Table


@dataclass(frozen=True, slots=True)
class BorderContext:
    """What is known where the check runs: the node's tables with its own policy, the stage's inputs, the permit.

    ``tables`` and ``inputs`` are keyed by lower-case name. Inputs come from the coordinator and are not protected.
    """

    node: str
    tables: Mapping[str, Table]
    inputs: Mapping[str, tuple[Column, ...]]
    permit: Permit


@dataclass(frozen=True, slots=True)
class Release:
    """An allowed statement, rewritten so that the threshold holds inside it.

    For protected tables the statement's first columns are ``withheld_column`` (groups below the threshold, the same
    number in every row) and ``persons_column`` (fewest persons of the row's group, a lower bound of them where they
    are many; NULL in the single row that stands for "no group released"); the node strips both. For public tables
    both are None.
    """

    sql: str
    form: Form
    protected: bool
    min_persons: int
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    """Every column that the statement reads, as ``table.column``, sorted: for the audit log."""
    rule: str
    """Which policy rule allowed it, in words without values."""
    withheld_column: str | None
    persons_column: str | None
    tell_withheld_count: bool
