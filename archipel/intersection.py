"""Private set intersection before rows go from node to node: its steps, and who does them. Pure.

docs/linkage.md tells the protocol and who learns what. Senders hold rows that are to go; each finds out which of its
persons a receiver has, too, and sends the rows of these alone. There is one intersection between each sender and each
receiver; all messages go sealed by way of the coordinator.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel.schema import Table


class Step(Enum):
    """What is done in a step, and by whom."""

    ASK = "ask"
    """A sender: its persons, blinded with a key of its own."""
    ANSWER = "answer"
    """A receiver: the same, blinded once more, and its own persons under its key."""
    SEND = "send"
    """A sender: the rows of persons in both."""


@dataclass(frozen=True, slots=True)
class IntersectionStep:
    """A step, as a plan or a task names it. ``senders`` and ``receivers`` are sorted and have no node in common."""

    step: Step
    senders: tuple[str, ...]
    receivers: tuple[str, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """Who does the step."""
        return self.receivers if self.step is Step.ANSWER else self.senders

    @property
    def sent_to(self) -> tuple[str, ...]:
        """To whom its output goes."""
        return self.senders if self.step is Step.ANSWER else self.receivers

    @property
    def told_by(self) -> tuple[str, ...]:
        """Whose messages it reads."""
        return {Step.ASK: (), Step.ANSWER: self.senders, Step.SEND: self.receivers}[self.step]

    def problem(self) -> str:
        """Return what is wrong with the parties; nothing when they may do it."""
        for nodes in (self.senders, self.receivers):
            if not nodes or list(nodes) != sorted(set(nodes)):
                return "The senders and receivers of an intersection are named once each, in order."
        if set(self.senders) & set(self.receivers):
            return "A node has no intersection with itself."
        return ""


def lists_all_persons(sql: str, table: Table) -> bool:
    """Whether a statement gives all persons of a table, and nothing else by which one could be told from another.

    Whoever learns that a person is among them learns that the table has rows of that person. Only the condition that
    the table's holder wants said of every scan may be there.

    >>> from archipel.schema import Column
    >>> stays = Table("stays", (Column("pid", "BIGINT"),), person_column="pid")
    >>> lists_all_persons("SELECT DISTINCT pid FROM stays", stays)
    True
    >>> lists_all_persons("SELECT DISTINCT pid FROM stays WHERE days > 3", stays)
    False
    """
    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except (SqlglotError, RecursionError):
        return False
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        return False
    source = tree.args["from_"].this if tree.args.get("from_") else None
    value = tree.expressions[0].unalias()
    said = {key for key, part in tree.args.items() if part} - {"expressions", "distinct", "from_", "where"}
    plain = not said and tree.args.get("distinct") is not None and not tree.args["distinct"].args.get("on")
    if not plain or not isinstance(source, exp.Table) or not isinstance(value, exp.Column):
        return False
    hanging = {key for key, part in source.args.items() if part} - {"this", "alias"}
    of_person = value.name.lower() == (table.person_column or "").lower()
    if hanging or source.name.lower() != table.name.lower() or not of_person:
        return False
    where = tree.args.get("where")
    return _spelled(where.this if where is not None else None) == _spelled(
        sqlglot.parse_one(table.policy.rows_where, read="duckdb") if table.policy.rows_where else None
    )


def _spelled(condition: exp.Expr | None) -> str:
    """Return a condition over one table without that table's name."""
    if condition is None:
        return ""
    plain = condition.copy()
    for column in plain.find_all(exp.Column):
        column.replace(exp.column(exp.to_identifier(column.name.lower())))
    return str(plain.unnest().sql("duckdb"))
