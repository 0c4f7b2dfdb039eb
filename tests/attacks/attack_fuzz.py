"""Random statements: composed ones, of which it is known what each group's persons are, and mutated hostile ones."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Person = tuple[str, bool]
"""SQL of a person over the rows of FROM, and whether an outer join may leave it NULL."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A FROM clause with the persons of its rows."""

    sql: str
    persons: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """A statement, and what is asked of all rows to know which of its groups may leave.

    The oracle's first ``keys`` columns are the group's; then for each person of the rows one count, and for each
    aggregate and person one count of those who contribute.
    """

    sql: str
    oracle: str
    keys: int
    optional: tuple[bool, ...]
    """For each person of the rows: whether there may be none."""


_S: Person = ("s.person", False)

_STAYS = (
    "stays s",
    "(SELECT person, region, year, sex, diagnosis, days, cost, score FROM stays WHERE PREDICATE) s",
    "(SELECT person, region, year, sex, diagnosis, sum(days) AS days, max(cost) AS cost, avg(score) AS score "
    "FROM stays GROUP BY person, region, year, sex, diagnosis) s",
    "(SELECT DISTINCT person, region, year, sex, diagnosis, days, cost, score FROM stays) s",
    "(SELECT person, region, year, sex, diagnosis, days, cost, score FROM stays WHERE PREDICATE UNION ALL "
    "SELECT person, region, year, sex, diagnosis, days, cost, score FROM stays WHERE PREDICATE) s",
    "(SELECT person, region, year, sex, diagnosis, days, score, "
    "lag(cost) OVER (PARTITION BY person ORDER BY stay_no) AS cost FROM stays) s",
)

_JOINS = (
    Rows("", (_S,)),
    Rows(" JOIN regions r ON r.region = s.region", (_S,)),
    Rows(" LEFT JOIN regions r ON r.region = s.region AND r.people > 2", (_S,)),
    Rows(" CROSS JOIN (SELECT code, n FROM codes WHERE n < 3) c", (_S,)),
    Rows(" JOIN drugs d ON d.patient = s.person", (_S, ("d.patient", False))),
    Rows(" LEFT JOIN drugs d ON d.patient = s.person AND d.quantity > 3", (_S, ("d.patient", True))),
    Rows(" LEFT JOIN drugs d ON d.patient = s.person AND d.code = 'RARE-DRUG'", (_S, ("d.patient", True))),
    Rows(" JOIN staff f ON f.region = s.region AND f.grade = 'nurse'", (_S, ("f.badge", False))),
    Rows(" JOIN stays b ON b.region = s.region AND b.days > 18", (_S, ("b.person", False))),
    Rows(" LEFT JOIN stays b ON b.person = s.person AND b.days > 300", (_S, ("b.person", True))),
)

_PREDICATES = (
    *("days = 366", "days > 15", "days BETWEEN 3 AND 9", "cost > 1400", "score IS NOT NULL", "year = 2021"),
    *("sex = 'F'", "region = 'Nord'", "region IN ('Onze', 'RARE-DIX')", "region <> 'Sud'", "diagnosis = 'I50'"),
    *("diagnosis LIKE '%5%'", "region > 'O'", "days % 2 = 0", "cost < 1100 OR days > 12", "NOT (days > 3)"),
)

_TESTS = (
    "EXISTS (SELECT 1 FROM drugs e WHERE e.patient = s.person)",
    "NOT EXISTS (SELECT 1 FROM drugs e WHERE e.patient = s.person AND e.code = 'A10')",
    "s.person IN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG')",
    "EXISTS (SELECT 1 FROM stays e WHERE e.person = s.person AND e.days > 19)",
)

_KEYS = (
    *("s.region", "s.year", "s.sex", "s.diagnosis", "upper(s.region)", "s.year - 2020"),
    *("CASE WHEN s.diagnosis = 'RARE-Z99' THEN 'x' ELSE s.sex END", "left(s.region, 2)", "s.sex || s.region"),
)


@dataclass(frozen=True, slots=True)
class _Aggregate:
    sql: str
    contributes: tuple[str, ...]
    """Conditions on a row: whoever meets one of them contributes in that way."""


_AGGREGATES = (
    _Aggregate("count(*)", ()),
    _Aggregate("count(DISTINCT s.person)", ()),
    _Aggregate("count(s.cost)", ("s.cost IS NOT NULL",)),
    _Aggregate("sum(s.cost)", ("s.cost IS NOT NULL",)),
    _Aggregate("sum(s.days - 5)", ("s.days - 5 IS NOT NULL", "s.days - 5 <> 0")),
    _Aggregate("avg(s.days)", ("s.days IS NOT NULL",)),
    _Aggregate("stddev(s.score)", ("s.score IS NOT NULL",)),
    _Aggregate("count(DISTINCT s.days)", ("s.days IS NOT NULL",)),
    _Aggregate("sum(CASE WHEN s.days > 17 THEN 1 ELSE 0 END)", ("s.days > 17",)),
    _Aggregate("sum(CASE WHEN s.days = 366 THEN s.cost END)", ("s.days = 366 AND s.cost IS NOT NULL",)),
    _Aggregate("regr_slope(s.cost, nullif(s.days, 3))", ("s.cost IS NOT NULL AND s.days <> 3",)),
    _Aggregate("corr(s.score, s.days)", ("s.score IS NOT NULL AND s.days IS NOT NULL",)),
    _Aggregate("count_if(s.days > 16)", ("s.days > 16",)),
)


def composed(source: random.Random) -> Composed:
    """Return a random statement whose groups' persons are known."""
    rows = source.choice(_JOINS)
    base = source.choice(_STAYS)
    while "PREDICATE" in base:
        base = base.replace("PREDICATE", source.choice(_PREDICATES), 1)
    conditions = [_of_stays(source.choice(_PREDICATES)) for _ in range(source.choice((0, 0, 1, 1, 2)))]
    conditions += source.sample(_TESTS, source.choice((0, 0, 0, 1)))
    keys = source.sample(_KEYS, source.choice((0, 1, 1, 2, 3)))
    chosen = source.sample(_AGGREGATES, source.choice((1, 1, 2, 3)))
    outputs, counts = [], [f"count(DISTINCT {person})" for person, _ in rows.persons]
    for number, aggregate in enumerate(chosen):
        condition = _of_stays(source.choice(_PREDICATES)) if source.random() < 0.4 else ""
        sql = f"{aggregate.sql} FILTER (WHERE {condition})" if condition else aggregate.sql
        outputs.append(f"{sql} AS x{number}")
        for contribution in aggregate.contributes or (("TRUE",) if condition else ()):
            where = " AND ".join(f"({part})" for part in (condition, contribution) if part)
            counts += [f"count(DISTINCT {person}) FILTER (WHERE {where})" for person, _ in rows.persons]
    named = [f"{key} AS k{number}" for number, key in enumerate(keys)]
    tail = f"FROM {base}{rows.sql}"
    tail += " WHERE " + source.choice((" AND ", " OR ")).join(f"({c})" for c in conditions) if conditions else ""
    tail += " GROUP BY " + ", ".join(keys) if keys else ""
    return Composed(
        sql=_select(named + outputs, tail),
        oracle=_select(keys + counts, tail),
        keys=len(keys),
        optional=tuple(optional for _, optional in rows.persons),
    )


def may_leave(persons: Sequence[int], optional: Sequence[bool], minimum: int) -> bool:
    """Whether a group with these counts of the oracle may be released.

    >>> may_leave([12, 0], [False, True], 11), may_leave([12, 3], [False, True], 11), may_leave([10], [False], 11)
    (True, False, False)
    """
    own, others = persons[: len(optional)], persons[len(optional) :]
    enough = all(n >= minimum or (n == 0 and may_lack) for n, may_lack in zip(own, optional, strict=True))
    return enough and any(own) and all(n == 0 or n >= minimum for n in others)


def mutated(source: random.Random, corpus: Sequence[str]) -> str:
    """Return a statement of the corpus with some words deleted, doubled, swapped or replaced by another's."""
    words = _WORDS.findall(source.choice(corpus))
    for _ in range(source.randint(1, 3)):
        if not words:
            break
        place = source.randrange(len(words))
        match source.randrange(6):
            case 0:
                del words[place]
            case 1:
                words.insert(place, words[place])
            case 2:
                other = source.randrange(len(words))
                words[place], words[other] = words[other], words[place]
            case 3:
                words[place] = source.choice(_FRAGMENTS)
            case 4:
                words.insert(place, source.choice(_FRAGMENTS))
            case _:
                donor = _WORDS.findall(source.choice(corpus))
                start = source.randrange(max(1, len(donor)))
                words[place:place] = donor[start : start + source.randint(1, 8)]
    return "".join(words)


def trees(corpus: Sequence[str]) -> list[exp.Expression]:
    """Return what sqlglot reads of the corpus, for ``grafted``."""
    found = []
    for sql in corpus:
        with contextlib.suppress(SqlglotError, TypeError):
            found += [tree for tree in sqlglot.parse(sql, read="duckdb") if isinstance(tree, exp.Query)]
    return found


def grafted(source: random.Random, corpus: Sequence[exp.Expression]) -> str:
    """Return a statement of the corpus some of whose parts are replaced by parts of the same kind of another's."""
    tree = source.choice(corpus).copy()
    for _ in range(source.randint(1, 4)):
        kind = source.choice(_GRAFTS)
        places = [node for node in tree.find_all(kind) if node is not tree and node.parent is not None]
        scions = [node for node in source.choice(corpus).find_all(kind) if node.parent is not None]
        if places and scions:
            source.choice(places).replace(source.choice(scions).copy())
    try:
        return tree.sql("duckdb")
    except (SqlglotError, ValueError, AttributeError, TypeError):
        return "SELECT"  # sqlglot cannot write what was put together


_GRAFTS = (exp.Condition, exp.Condition, exp.Column, exp.Table, exp.Subquery, exp.Func, exp.Alias, exp.Where, exp.Group)
_GRAFTS += (exp.Join, exp.Select, exp.Predicate, exp.AggFunc)

_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|\w+|\s+|.", re.DOTALL)

_FRAGMENTS = (
    *("person", "s.person", "region", "days", "cost", "note", "stays", "drugs", "codes", "t", "s", "*", "t.*", "s.*"),
    *("(", ")", ",", ".", "||", "=", "<>", "AND", "OR", "NOT", "NULL", "IS", "IN", "EXISTS", "DISTINCT", "ALL"),
    *("UNION ALL", "EXCEPT", "INTERSECT", "GROUP BY", "HAVING", "ORDER BY", "LIMIT 1", "QUALIFY", "FILTER (WHERE"),
    *(
        "JOIN",
        "LEFT JOIN",
        "CROSS JOIN",
        "SEMI JOIN",
        "ANTI JOIN",
        "ON",
        "USING (person)",
        "USING (region)",
        "WITH x AS (",
    ),
    *("SELECT", "FROM", "WHERE", "CASE WHEN", "THEN", "ELSE", "END", "OVER ()", "OVER (PARTITION BY person)"),
    *("max(person)", "list(person)", "count(*)", "sum(cost)", "any_value(t)", "hash(person)", "count(DISTINCT person)"),
    *("CAST(s AS VARCHAR)", "CAST(t AS VARCHAR)", "(SELECT max(person) FROM stays)", "'@PERSON@'", "1", "0", "-1"),
    *("border_person_0", "border_row_0", "_node", "'x'", "[1]", "::VARCHAR", "AS x", "AS person", '"S"', "LATERAL"),
)


def _of_stays(predicate: str) -> str:
    return _COLUMN.sub(r"s.\1", predicate)


_COLUMN = re.compile(r"\b(days|cost|score|year|sex|region|diagnosis)\b")


def _select(outputs: Sequence[str], tail: str) -> str:
    return " ".join(("SELECT", ", ".join(outputs), tail))
