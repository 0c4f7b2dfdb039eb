"""What several holders demand together: never less than one of them does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archipel import errors, obligations
from archipel.schema import Column, Form, Role, Table, TablePolicy

COLUMNS = (Column("person", "BLOB"), Column("region", "VARCHAR"), Column("cost", "DOUBLE"))
MILD = TablePolicy(
    coordinator_form=Form.AGGREGATE,
    min_persons=11,
    roles=(("person", Role.MEASURE), ("region", Role.PUBLIC), ("cost", Role.MEASURE)),
    tell_withheld_count=True,
    peer_forms=(("chu", Form.ROWS), ("chr", Form.KEYS)),
)
STRICT = TablePolicy(
    coordinator_form=Form.NONE,
    min_persons=30,
    roles=(("person", Role.MEASURE), ("REGION", Role.GROUP), ("cost", Role.HIDDEN)),
    peer_forms=(("chu", Form.KEYS),),
)


def part(policy: TablePolicy, **changes: object) -> Table:
    """Return what one sender obliges to."""
    return replace(Table("stays", COLUMNS, person_column="person", person_domain="nir", policy=policy), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [(MILD, STRICT), (STRICT, MILD)], ids=["strict last", "strict first"])
def test_of_every_demand_the_strictest_holds_in_whatever_order_the_parts_come(parts: tuple[TablePolicy, ...]) -> None:
    whole = obligations.combined("x1", [part(policy) for policy in parts])
    assert (whole.name, whole.person_column, whole.person_domain) == ("x1", "person", "nir")
    policy = whole.policy
    assert (policy.coordinator_form, policy.min_persons, policy.tell_withheld_count) == (Form.NONE, 30, False)
    assert [policy.role_of(c.name) for c in COLUMNS] == [Role.MEASURE, Role.GROUP, Role.HIDDEN]
    assert [policy.form_to(node) for node in ("chu", "chr", "cnam")] == [Form.KEYS, Form.NONE, Form.NONE]


def test_a_table_is_protected_when_one_of_its_parts_is() -> None:
    open_part = part(replace(MILD, protected=False))
    assert obligations.combined("x1", [open_part, part(MILD)]).policy.protected
    assert not obligations.combined("x1", [open_part, open_part]).policy.protected


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": COLUMNS[:2]},
        {"columns": (COLUMNS[1], COLUMNS[0], COLUMNS[2])},
        {"columns": (replace(COLUMNS[0], type="VARCHAR"), *COLUMNS[1:])},
        {"person_column": None},
        {"person_column": "region"},
        {"person_domain": "other"},
    ],
    ids=["fewer columns", "another order", "another type", "no person", "another person", "another domain"],
)
def test_parts_that_do_not_speak_of_the_same_do_not_fit_together(changes: dict[str, object]) -> None:
    with pytest.raises(errors.OperationalError) as refusal:
        obligations.combined("x1", [part(MILD), part(MILD, **changes)])
    assert refusal.value.code == "EXCHANGE_REFUSED"


def test_a_column_that_is_not_sent_leaves_columns_and_roles() -> None:
    without = obligations.without_column(part(MILD), "COST")
    assert [column.name for column in without.columns] == ["person", "region"]
    assert dict(without.policy.roles) == {"person": Role.MEASURE, "region": Role.PUBLIC}
