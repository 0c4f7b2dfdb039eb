"""Questions through every process: client, coordinator, nodes and back. The oracle is one DuckDB."""

from __future__ import annotations

import pytest

import archipel
from archipel import errors
from archipel.demo.oracle import Oracle, compare
from archipel.demo.processes import LocalFederation
from archipel.demo.questions import QUESTIONS, Question

pytestmark = pytest.mark.federation

ANSWERED = [q for q in QUESTIONS if not q.expect_refusal]


@pytest.mark.parametrize("question", ANSWERED, ids=lambda q: q.title[:40])
def test_every_question_is_answered_like_one_database_or_says_what_is_missing(
    question: Question, federation: LocalFederation, oracle: Oracle
) -> None:
    with federation.connect() as connection:
        result = connection.query_and_wait(question.sql)
    expected = oracle.query(question.sql)
    answer = result.to_arrow()
    assert answer.schema.types == expected.schema.types
    assert answer.column_names == expected.column_names
    comparison = compare(answer, expected, question.keys)
    if result.complete:
        assert comparison.exact
    else:
        assert any(notice.kind == "suppression" for notice in result.notices)
        assert comparison.unknown == 0 or "LIMIT" in question.sql


def test_an_answer_without_small_groups_is_complete_and_exact(federation: LocalFederation, oracle: Oracle) -> None:
    sql = "SELECT COD_SEX, count(*) AS n, sum(SEJ_NBJ) AS days, avg(SEJ_NBJ) AS m FROM T_MCOaaB GROUP BY COD_SEX"
    with federation.connect() as connection:
        result = connection.query_and_wait(sql)
    assert compare(result.to_arrow(), oracle.query(sql), 1).exact
    assert {node.outcome for node in result.nodes} == {"released"}


def test_a_median_of_patients_is_told_with_the_interval_in_which_it_lies(
    federation: LocalFederation, oracle: Oracle
) -> None:
    sql = (
        "SELECT COD_SEX, median(AGE_ANN) AS m, quantile_lower(AGE_ANN, 0.5) AS low, quantile_upper(AGE_ANN, 0.5) AS "
        "high FROM T_MCOaaB GROUP BY COD_SEX"
    )
    with federation.connect() as connection:
        result = connection.query_and_wait(sql)
    rows = result.to_arrow().to_pylist()
    exact = oracle.query("SELECT COD_SEX, median(AGE_ANN) AS m FROM T_MCOaaB GROUP BY COD_SEX").to_pylist()
    medians = {row["COD_SEX"]: row["m"] for row in exact}
    assert {row["COD_SEX"] for row in rows} == medians.keys()
    for row in rows:
        assert row["low"] <= medians[row["COD_SEX"]] <= row["high"]
    told = [notice for notice in result.notices if notice.kind == "interval"]
    assert bool(told) == any(row["low"] < row["high"] for row in rows)


def test_rows_of_patients_are_refused_with_the_place_in_the_sql(federation: LocalFederation) -> None:
    with federation.connect() as connection, pytest.raises(errors.NotAllowedError) as refusal:
        connection.query_and_wait("SELECT NIR_ANO_17 FROM T_MCOaaB")
    assert refusal.value.code == "BORDER_REFUSED"
    assert refusal.value.position == errors.Position(1, 8)
    assert "count(DISTINCT" in refusal.value.hint


def test_reference_tables_may_be_read_as_rows(federation: LocalFederation, oracle: Oracle) -> None:
    sql = "SELECT code, name, region FROM departement ORDER BY code"
    with federation.connect() as connection:
        result = connection.query_and_wait(sql)
    assert result.to_arrow().to_pylist() == oracle.query(sql).to_pylist()


@pytest.mark.parametrize(
    ("sql", "code", "line", "hint"),
    [
        ("SELECT 1 FRM departement", "SQL_SYNTAX", 1, ""),
        ("SELECT count(*)\nFROM T_MCOaaX", "SQL_UNKNOWN_TABLE", 2, "T_MCOaa"),
        ("SELECT COD_SEXE, count(*)\nFROM T_MCOaaB GROUP BY 1", "SQL_UNKNOWN_COLUMN", 1, "COD_SEX"),
        ("DELETE FROM T_MCOaaB", "SQL_NOT_A_QUERY", None, "SELECT"),
        ("SELECT count(*) FROM T_MCOaaB a, T_MCOaaB b WHERE ETA_NUM = '1'", "SQL_AMBIGUOUS_COLUMN", 1, "alias"),
        ("SELECT name + 1 FROM departement", "SQL_TYPE", None, ""),
    ],
)
def test_bad_sql_says_what_where_and_what_to_do(
    sql: str, code: str, line: int | None, hint: str, federation: LocalFederation
) -> None:
    with federation.connect() as connection, pytest.raises(errors.ProgrammingError) as problem:
        connection.query_and_wait(sql)
    assert problem.value.code == code
    assert hint.lower() in problem.value.hint.lower()
    if line is not None:
        assert problem.value.position is not None
        assert problem.value.position.line == line


def test_too_many_rows_are_an_error_and_not_a_crash(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        with pytest.raises(errors.OperationalError) as problem:
            connection.query("SELECT * FROM concept a CROSS JOIN departement b", max_rows=10).result()
        assert problem.value.code == "RESULT_TOO_LARGE"
        assert connection.query_and_wait("SELECT count(*) AS n FROM departement").to_arrow().num_rows == 1


def test_a_division_by_zero_is_answered_as_one_database_answers_it(federation: LocalFederation, oracle: Oracle) -> None:
    sql = "SELECT COD_SEX, sum(SEJ_NBJ) / (count(*) - count(*)) AS x FROM T_MCOaaB GROUP BY COD_SEX ORDER BY 1"
    with federation.connect() as connection:
        assert connection.query_and_wait(sql).to_arrow().to_pylist() == oracle.query(sql).to_pylist()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(CAST(length(name) * 100000 AS SMALLINT)) AS x FROM departement",
        "SELECT CAST(length(min(name)) * 100000 AS SMALLINT) AS x FROM departement",
        "SELECT count(*) * 99999999999999999 * 99999999999999999 * 99999999999999999 AS x FROM departement",
    ],
    ids=["at a node", "at a node, over a result", "beyond every integer"],
)
def test_an_overflow_is_an_error_that_says_what_to_do(sql: str, federation: LocalFederation) -> None:
    with federation.connect() as connection, pytest.raises(errors.DatabaseError) as problem:
        connection.query_and_wait(sql)
    assert problem.value.code in {"NODE_EXECUTION", "SQL_EXECUTION", "SQL_TYPE"}
    assert problem.value.hint
    assert "99999" not in problem.value.info.message


def test_a_query_can_be_found_again_by_another_connection(federation: LocalFederation) -> None:
    with federation.connect() as first:
        asked = first.query("SELECT count(*) AS n FROM T_MCOaaB")
        answer = asked.result().to_arrow()
    with federation.connect() as second:
        assert second.get_query(asked.query_id).result().to_arrow().equals(answer)
        assert asked.query_id in {query.query_id for query in second.queries()}


def test_tables_and_nodes_are_listed(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        assert {"IR_BEN_R", "T_MCOaaB", "departement"} <= {table.name for table in connection.tables()}
        assert all(node.attached for node in connection.nodes())
        assert isinstance(connection, archipel.Connection)
