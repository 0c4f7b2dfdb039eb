"""Masked SQL holds no literal, in whatever form the literal is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.telemetry import mask_sql
from archipel.telemetry.masking import MAX_CHARS, UNPARSABLE


@pytest.mark.parametrize(
    ("sql", "masked"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT  a,\n b FROM t", "SELECT a, b FROM t"),
        ("SELECT * FROM t WHERE d = DATE '1954-03-01'", "SELECT * FROM t WHERE d = DATE ?"),
        ("SELECT * FROM t WHERE name = 'O''Brien'", "SELECT * FROM t WHERE name = ?"),
        ("SELECT * FROM t WHERE n = -3.5e2 AND m = .5", "SELECT * FROM t WHERE n = -? AND m = .?"),
        ("SELECT * FROM t WHERE n IN (1, 2,3)", "SELECT * FROM t WHERE n IN (?)"),
        ("SELECT j->>'$.jeanne' FROM t", "SELECT j->>? FROM t"),
        ("SELECT {'jeanne': 1} FROM t", "SELECT {?: ?} FROM t"),
        ("SELECT $$jeanne$$, $tag$ jeanne $tag$", "SELECT ?, ?"),
        ("SELECT 0x1F, 1_000", "SELECT ?, ?"),
        ("SELECT a /* jeanne */ FROM t -- martin", "SELECT a FROM t"),
        ("SELECT a FROM t LIMIT 5 OFFSET 10", "SELECT a FROM t LIMIT ? OFFSET ?"),
        ("SELECT x::DECIMAL(38, 2) FROM t", "SELECT x::DECIMAL(?, ?) FROM t"),
        ("SELECT INTERVAL '3' DAY, INTERVAL 3 DAY", "SELECT INTERVAL ? DAY, INTERVAL ? DAY"),
        (
            'SELECT max("p0") FILTER (WHERE "_shard" = 0) FROM "x1"',
            'SELECT max("p0") FILTER (WHERE "_shard" = ?) FROM "x1"',
        ),
    ],
)
def test_literals_become_question_marks(sql: str, masked: str) -> None:
    assert mask_sql(sql) == masked


@pytest.mark.parametrize(
    "sql",
    ["", "SELECT 'jeanne", "SELECT FROM WHERE 'jeanne'", "PRAGMA x='jeanne'", "INSTALL jeanne", "((((", "'jeanne' ok"],
)
def test_what_is_not_understood_is_not_shown(sql: str) -> None:
    assert "jeanne" not in mask_sql(sql)


def test_other_dialects_have_their_own_literals() -> None:
    assert mask_sql('SELECT a FROM t WHERE n = "jeanne"', "bigquery") == "SELECT a FROM t WHERE n = ?"
    assert mask_sql("SELECT a FROM t WHERE n = E'jea\\nne' AND b = X'ab'", "postgres") == (
        "SELECT a FROM t WHERE n = ? AND b = ?"
    )


def test_long_text_is_cut() -> None:
    masked = mask_sql("SELECT " + ", ".join(f"column_{i}" for i in range(5_000)))
    assert len(masked) == MAX_CHARS + 1


def test_deep_nesting_is_not_shown_rather_than_raised() -> None:
    assert mask_sql("SELECT " + "(" * 5_000 + "1" + ")" * 5_000) in (
        UNPARSABLE,
        "SELECT " + "(" * 5_000 + "?" + ")" * 5_000,
    )


@given(st.text(min_size=1).filter(lambda s: "\0" not in s))
def test_no_string_literal_survives(value: str) -> None:
    quoted = value.replace("'", "''")
    assert mask_sql(f"SELECT a FROM t WHERE b = '{quoted}' AND c = 1") in (  # noqa: S608
        "SELECT a FROM t WHERE b = ? AND c = ?",
        UNPARSABLE,
    )


@given(
    st.one_of(
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(allow_nan=False, allow_infinity=False),
    )
)
def test_no_number_survives(value: object) -> None:
    assert not any(c.isdigit() for c in mask_sql(f"SELECT a FROM t WHERE b = {value}"))  # noqa: S608
