"""How many persons found a match when a node computed with rows of persons that others sent: rounded, or not at all.

It is told only where every policy concerned says so (``match_rates: rounded``). Each count is a question of its own
about groups of persons, and is treated as one: the border check holds the threshold for those who match, for those who
do not, and for both together, and the ledger compares whom it is about with earlier answers. What does not pass is not
told, and nothing is said of why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from archipel import errors
from archipel.border import linking
from archipel.border.decision import Release
from archipel.schema import Table
from node_agent.ledger import Answer
from node_agent.order import MatchRate, Note
from node_agent.sealed import Received

LEAST_ROUNDING = 5
PERCENT_STEPS = 10

KIND = "match-rate"
_PERSONS, _MATCHED = "persons", "matched"
_ENDS = frozenset({errors.CANCELLED, errors.TIMEOUT, errors.AUDIT_UNAVAILABLE, errors.LEDGER_UNAVAILABLE})
"""Errors that are not about the count alone."""

Ask = Callable[[str, str], tuple[Release, Answer]]
"""Decides and answers a statement that reads one received table, by its name, as any question of the task."""


@dataclass(frozen=True, slots=True)
class _Side:
    """Whose persons are counted: those of a table here, or those that nodes sent."""

    table: str
    nodes: tuple[str, ...]
    sql: str
    exchange: str

    @property
    def text(self) -> str:
        listed = ", ".join(f"'{node}'" for node in self.nodes)
        return f"the persons of the table '{self.table}' here" if self.table else f"the persons that {listed} sent"


def told(
    release: Release, received: Mapping[str, Received], tables: tuple[Table, ...], node: str, permit_id: str, ask: Ask
) -> tuple[Note, ...]:
    """Return what may be told of how many persons matched between a node's tables and what it received.

    Raises:
        ArchipelError: of an error that ends the task.
    """
    notes = []
    for side in _sides(release, received, tables, node, permit_id):
        try:
            decided, answer = ask(side.sql, side.exchange)
        except errors.ArchipelError as problem:
            if problem.info.code in _ENDS:
                raise
            continue
        note = _note(side, decided, answer)
        if note is not None:
            notes.append(note)
    return tuple(notes)


def _sides(
    release: Release, received: Mapping[str, Received], tables: tuple[Table, ...], node: str, permit_id: str
) -> Iterator[_Side]:
    read = {name.lower() for name in release.tables}
    own = [table for table in tables if table.name.lower() in read and table.policy.protected]
    for name, part in sorted(received.items()):
        theirs = part.table
        if not theirs.policy.protected or not theirs.policy.tell_match_rates:
            continue
        senders = tuple(dict.fromkeys(stream.sender for stream in part.streams))
        for table in own:
            same = linking.project_domain(table, permit_id) == theirs.person_domain
            if not same or not table.policy.tell_match_rates or node in senders:
                continue
            one, other = (name, theirs.person_column or ""), (table.name, table.person_column or "")
            yield _Side(table.name, (node,), _statement(other, one, table.policy.rows_where), name)
            if not part.intersected:  # of whom the others sent none but matching ones, there is nothing to tell
                yield _Side("", senders, _statement(one, other, table.policy.rows_where, on_other=True), name)


def _statement(counted: tuple[str, str], other: tuple[str, str], rows_where: str, *, on_other: bool = False) -> str:
    """Return the count of distinct persons of a table, and of those whom the other one has, too."""
    a, b = "counted", "found"
    mine, theirs = (exp.column(column, table, quoted=True) for (_, column), table in ((counted, a), (other, b)))
    persons = exp.Count(this=exp.Distinct(expressions=[mine]))
    there = exp.Not(this=exp.Is(this=theirs, expression=exp.Null()))
    matched = exp.Filter(this=persons.copy(), expression=exp.Where(this=there))
    equal: exp.Expr = exp.EQ(this=theirs.copy(), expression=mine.copy())
    condition = _condition(rows_where, b if on_other else a)
    select = exp.select(exp.alias_(persons, _PERSONS, quoted=True), exp.alias_(matched, _MATCHED, quoted=True))
    if condition is not None and on_other:
        inner = exp.select("*").from_(_table(other[0], b)).where(condition)
        select = select.from_(_table(counted[0], a)).join(inner.subquery(b, copy=False), on=equal, join_type="left")
        return select.sql("duckdb")
    select = select.from_(_table(counted[0], a)).join(_table(other[0], b), on=equal, join_type="left")
    return (select.where(condition) if condition is not None else select).sql("duckdb")


def _condition(rows_where: str, alias: str) -> exp.Expr | None:
    """Return the condition that a table's holder wants said of every scan."""
    if not rows_where:
        return None
    condition: exp.Expr = exp.maybe_parse(rows_where, dialect="duckdb")
    for column in condition.find_all(exp.Column):
        column.set("table", exp.to_identifier(alias, quoted=True))
    return condition


def _table(name: str, alias: str) -> exp.Table:
    named = exp.to_identifier(alias, quoted=True)
    return exp.Table(this=exp.to_identifier(name, quoted=True), alias=exp.TableAlias(this=named))


def _note(side: _Side, release: Release, answer: Answer) -> Note | None:
    """Return what is told of one count; nothing when a threshold withheld it."""
    rows = answer.output.to_pylist()
    if len(rows) != 1 or not rows[0][_PERSONS]:
        return None
    persons, matched = int(rows[0][_PERSONS]), int(rows[0][_MATCHED] or 0)
    base = max(LEAST_ROUNDING, release.rounding)
    percent = round(100 * matched / persons / PERCENT_STEPS) * PERCENT_STEPS
    about = MatchRate(side.table, side.nodes, _rounded(persons, base), _rounded(matched, base), percent)
    text = (
        f"of {side.text}, about {about.persons:,}, about {about.matched:,} were at the other side, too "
        f"({about.percent} %); counts are multiples of {base}"
    )
    return Note(KIND, text, match_rate=about)


def _rounded(value: int, base: int) -> int:
    """Return a count as a multiple of ``base``.

    >>> _rounded(12, 5), _rounded(13, 5), _rounded(0, 5)
    (10, 15, 0)
    """
    return (2 * value + base) // (2 * base) * base
