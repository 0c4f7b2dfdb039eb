"""Tables of which only some rows take part: no statement passes that does not say the condition beside every scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from border_ward import CONTEXT, STAYS, refusal_of, table

from archipel import certificate, errors, policy, schema, wire
from archipel.border import BorderContext, check
from archipel.certificate import Rejected
from archipel.obligations import strictest
from archipel.permit import TableGrant
from archipel.schema import COORDINATOR, Form, Role

CONDITION = "year >= 2019 AND kind <> 'test'"


def limited(found: schema.Table, condition: str = CONDITION) -> schema.Table:
    return replace(found, policy=replace(found.policy, rows_where=condition))


PLAIN = {"k": ("INTEGER", Role.PUBLIC), "year": ("INTEGER", Role.PUBLIC), "kind": ("VARCHAR", Role.PUBLIC)}
CARE = limited(table("care", PLAIN))
OTHER = table("other", PLAIN)
CONTEXT_HERE = BorderContext(
    "lille",
    {"care": CARE, "other": OTHER, "stays": limited(STAYS, "ward <> 7")},
    {},
    CONTEXT.permit.model_copy(update={"tables": (TableGrant(table="*", columns=("*",)),)}),
)

SAID = [
    "SELECT c.k FROM care AS c WHERE c.year >= 2019 AND c.kind <> 'test'",
    "SELECT k FROM care WHERE k = 3 AND (kind <> 'test' AND (YEAR >= 2019))",
    "SELECT c.k FROM care AS c WHERE c.kind != 'test' AND c.k IN (1, 2) AND c.year >= 2019",
    "SELECT o.k FROM other AS o, care AS c WHERE o.k = c.k AND c.year >= 2019 AND c.kind <> 'test'",
    "SELECT c.k FROM care AS c LEFT JOIN other AS o ON o.k = c.k WHERE c.year >= 2019 AND c.kind <> 'test'",
    "SELECT o.k FROM other AS o LEFT JOIN (SELECT c.k FROM care AS c WHERE c.year >= 2019 AND c.kind <> 'test') AS c "
    "ON o.k = c.k",
    "SELECT o.k FROM other AS o WHERE EXISTS (SELECT 1 FROM care AS c WHERE c.k = o.k AND c.year >= 2019 "
    "AND c.kind <> 'test')",
    "SELECT a.k FROM care AS a, care AS b WHERE a.k = b.k AND a.year >= 2019 AND a.kind <> 'test' "
    "AND b.year >= 2019 AND b.kind <> 'test'",
    "WITH w AS (SELECT k FROM care WHERE year >= 2019 AND kind <> 'test') SELECT w.k FROM w",
    "SELECT o.k FROM other AS o",
]
NOT_SAID = {
    "nothing": "SELECT c.k FROM care AS c",
    "a part of it": "SELECT c.k FROM care AS c WHERE c.year >= 2019",
    "a stronger one": "SELECT c.k FROM care AS c WHERE c.year >= 2020 AND c.kind <> 'test'",
    "a weaker one": "SELECT c.k FROM care AS c WHERE c.year >= 2018 AND c.kind <> 'test'",
    "within OR": "SELECT c.k FROM care AS c WHERE (c.year >= 2019 AND c.kind <> 'test') OR c.k = 1",
    "denied": "SELECT c.k FROM care AS c WHERE NOT (c.year >= 2019 AND c.kind <> 'test')",
    "of another table": "SELECT c.k FROM care AS c, other AS o WHERE o.year >= 2019 AND o.kind <> 'test'",
    "in capital letters": "SELECT c.k FROM care AS c WHERE c.year >= 2019 AND c.kind <> 'TEST'",
    "in HAVING": "SELECT c.kind, c.year FROM care AS c GROUP BY ALL HAVING c.year >= 2019 AND c.kind <> 'test'",
    "in FILTER": "SELECT count(*) FILTER (WHERE c.year >= 2019 AND c.kind <> 'test') AS n FROM care AS c",
    "of one scan of two": (
        "SELECT a.k FROM care AS a, care AS b WHERE a.k = b.k AND a.year >= 2019 AND a.kind <> 'test'"
    ),
    "on the side that may be missing": (
        "SELECT o.k FROM other AS o LEFT JOIN care AS c ON o.k = c.k WHERE c.year >= 2019 AND c.kind <> 'test'"
    ),
    "on both such sides": (
        "SELECT o.k FROM other AS o FULL JOIN care AS c ON o.k = c.k WHERE c.year >= 2019 AND c.kind <> 'test'"
    ),
    "before a RIGHT JOIN": (
        "SELECT o.k FROM care AS c RIGHT JOIN other AS o ON o.k = c.k WHERE c.year >= 2019 AND c.kind <> 'test'"
    ),
    "in ON of a LEFT JOIN": (
        "SELECT c.k FROM care AS c LEFT JOIN other AS o ON o.k = c.k AND c.year >= 2019 AND c.kind <> 'test'"
    ),
    "for the choice of ASOF": (
        "SELECT o.k FROM other AS o ASOF JOIN care AS c ON o.k >= c.k WHERE c.year >= 2019 AND c.kind <> 'test'"
    ),
    "outside of a subquery": (
        "SELECT o.k FROM other AS o WHERE o.year >= 2019 AND o.kind <> 'test' "
        "AND EXISTS (SELECT 1 FROM care AS c WHERE c.k = o.k)"
    ),
    "around a derived table": (
        "SELECT d.k FROM (SELECT c.k, c.year, c.kind FROM care AS c) AS d WHERE d.year >= 2019 AND d.kind <> 'test'"
    ),
    "around a window": (
        "SELECT d.n FROM (SELECT c.year, c.kind, count(*) OVER () AS n FROM care AS c) AS d "
        "WHERE d.year >= 2019 AND d.kind <> 'test'"
    ),
    "in one branch of two": (
        "SELECT k FROM care WHERE year >= 2019 AND kind <> 'test' UNION ALL SELECT k FROM care WHERE year >= 2019"
    ),
    "of renamed columns": "SELECT c.k FROM care AS c(k, kind, year) WHERE c.year >= 2019 AND c.kind <> 'test'",
}


def certify(sql: str) -> None:
    """Have the check of certificates read a statement that goes to the coordinator, with a true certificate."""
    tables = CONTEXT_HERE.tables
    seen = certificate.read(sql, tables)
    given = certificate.issue(sql, {"lille": tables}, (COORDINATOR,), CONTEXT_HERE.permit, seen)
    certificate.check(given, sql, "lille", tables, CONTEXT_HERE.permit)


@pytest.mark.parametrize("sql", SAID)
def test_a_statement_that_says_the_condition_beside_every_scan_passes(sql: str) -> None:
    assert check(sql, CONTEXT_HERE).form is Form.ROWS
    certify(sql)


@pytest.mark.parametrize("said", NOT_SAID)
def test_a_statement_that_does_not_say_it_so_is_refused(said: str) -> None:
    with pytest.raises(errors.ArchipelError) as refused:
        check(NOT_SAID[said], CONTEXT_HERE)
    assert refused.value.rule == ("construct" if "ASOF" in NOT_SAID[said] else "rows-where")
    if "care AS c(" not in NOT_SAID[said]:
        with pytest.raises(Rejected):
            certify(NOT_SAID[said])


def test_the_refusal_names_the_condition_to_add() -> None:
    with pytest.raises(errors.ArchipelError) as refused:
        check(NOT_SAID["a stronger one"], CONTEXT_HERE)
    assert refused.value.code == errors.POLICY_REFUSED.name
    assert CONDITION in (refused.value.info.hint or "")


def test_rows_of_persons_have_conditions_too() -> None:
    said = "SELECT region, count(*) AS n FROM stays WHERE ward <> 7 GROUP BY region"
    assert check(said, CONTEXT_HERE).protected
    assert refusal_of("SELECT region, count(*) AS n FROM stays GROUP BY region", CONTEXT_HERE).rule == "rows-where"


def policy_of(folder: Path, condition: str) -> policy.TableRules:
    path = folder / "policy.yaml"
    path.write_text(f'version: 1\ntables:\n  care:\n    rows_where: "{condition}"\n', encoding="utf-8")
    return policy.load(path)[0].rules_for("care")


def test_the_policy_file_says_the_condition(tmp_path: Path) -> None:
    rules = policy_of(tmp_path, "Year>=2019 and kind!='test'")
    assert rules.named_columns() == ("Year", "kind")
    found = rules.for_columns(("k", "year", "kind"))
    assert found.rows_where == "Year >= 2019 AND kind <> 'test'"
    context = replace(CONTEXT_HERE, tables={"care": limited(CARE, found.rows_where)})
    assert check(SAID[0], context).form is Form.ROWS
    either = policy_of(tmp_path, "year = 2019 OR year = 2020").rows_where
    context = replace(CONTEXT_HERE, tables={"care": limited(CARE, either)})
    assert check("SELECT k FROM care WHERE (year = 2019 OR year = 2020) AND k = 1", context).form is Form.ROWS
    assert refusal_of("SELECT k FROM care WHERE year = 2019", context).rule == "rows-where"


@pytest.mark.parametrize(
    "condition", ["year >=", "1 = 1", "care.year = 1", "year = (SELECT 1)", "sum(year) > 1", "SELECT 1", "year = ?"]
)
def test_what_is_no_condition_over_one_row_is_no_policy(tmp_path: Path, condition: str) -> None:
    with pytest.raises(errors.ArchipelError, match="rows_where"):
        policy_of(tmp_path, condition)


def test_conditions_cross_the_wire_and_those_of_several_holders_hold_together() -> None:
    assert wire.table_from_wire(wire.table_to_wire(CARE)) == CARE
    other = replace(CARE.policy, rows_where="k > 0")
    both = strictest([CARE.policy, other, CARE.policy], ["k"]).rows_where
    assert both == f"{CONDITION} AND k > 0"
