"""Plans for people: the JSON form and its schema, the text, the picture, and ``EXPLAIN`` before a query."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archipel import errors, explain
from archipel.certificate import Certificate
from archipel.client import Explanation
from archipel.explain.lanes import MOST_LANES, lanes_of
from archipel.schema import Form
from archipel.v1 import query_pb2
from coordinator.deliveries import Withheld
from coordinator.events import State, TaskRef
from coordinator.measures import Measures
from coordinator.plan import COORDINATOR, Alternative, Exchange, OutputColumn, Plan, Stage, StageKind
from coordinator.plan_document import explained_query, plan_document
from coordinator.planner import explain_text
from coordinator.store import QueryRecord, ResultHead

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "plan.schema.json").read_text())
SVG = "{http://www.w3.org/2000/svg}"
G = OutputColumn("g", "VARCHAR")
SENDERS = ("hospital_a", "hospital_b")


def certificate(min_persons: int, *destinations: str) -> Certificate:
    """Return what allows an exchange, with a group size."""
    rules = ("hospital_a: stays to cnam as rows",)
    return Certificate("0" * 64, destinations, Form.ROWS, ("stays.g",), ("count",), min_persons, True, rules)


def linked(min_persons: int = 11, senders: tuple[str, ...] = SENDERS) -> Plan:
    """Return a plan in which hospitals send rows sealed to CNAM, and CNAM aggregates to the coordinator."""
    stages = (
        Stage("s1", StageKind.NODE, senders, 'SELECT "g" FROM "stays"', (G,)),
        Stage("s2", StageKind.NODE, ("cnam",), 'SELECT "g" AS "g" FROM "x1" JOIN "drugs" GROUP BY 1', (G,), ("x1",)),
        Stage("s3", StageKind.MERGE, (COORDINATOR,), 'SELECT "g" FROM "x2" GROUP BY 1', (G,), ("x2",), ("g",)),
        Stage("s4", StageKind.FINISH, (COORDINATOR,), 'SELECT "g" FROM "x3" ORDER BY 1', (G,), ("x3",)),
    )
    exchanges = (
        Exchange("x1", "s1", "s2", Form.ROWS, "peers: cnam", 1_000, 40_000, "", certificate(min_persons, "cnam")),
        Exchange("x2", "s2", "s3", Form.AGGREGATE, "11 persons", 20, 960, "", certificate(11, COORDINATOR)),
        Exchange("x3", "s3", "s4", Form.AGGREGATE, "stays at the coordinator", 20, 960),
    )
    return Plan(
        "SELECT g FROM stays JOIN drugs USING (person) GROUP BY g ORDER BY g",
        stages,
        exchanges,
        "s4",
        (G,),
        notes=("Counts are of stays.",),
        alternatives=(
            Alternative("join at hospital_a", 9_000_000, "more bytes"),
            Alternative("join at the coordinator", None, "policy lets no rows go there"),
        ),
        not_pushed=("ORDER BY stays at the coordinator: groups are whole only there.",),
    )


class Clock:
    """A clock that a test sets, in milliseconds."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms / 1000


def measured(plan: Plan, withheld: Withheld | None = None) -> list[query_pb2.StageMeasure]:
    """Return the measures of a run of ``linked`` in which CNAM withheld groups as given."""
    clock = Clock()
    measures = Measures(clock)
    senders = plan.stage("s1").sites
    for node in senders:
        measures.sent(TaskRef("s1", node, 1))
    for number, node in enumerate(senders):
        clock.ms = 10.0 + number
        measures.delivered(TaskRef("s1", node, 1), wire_bytes=5_000, engine_ms=4.0, withheld=None)
    measures.sent(TaskRef("s2", "cnam", 1))
    clock.ms += 1
    measures.sent(TaskRef("s2", "cnam", 2))
    clock.ms += 9
    measures.delivered(TaskRef("s2", "cnam", 2), wire_bytes=1_040, engine_ms=3.5, rows=18, withheld=withheld)
    measures.began("s3")
    clock.ms += 2
    measures.computed("s3", 18, "in-process")
    measures.began("s4")
    clock.ms += 1
    measures.computed("s4", 18)
    return measures.to_wire(plan)


def run_of(plan: Plan, stages: list[query_pb2.StageMeasure]) -> tuple[str, str]:
    """Return text and JSON of a query that ran so."""
    record = QueryRecord(
        "q1", "r", "d", "p", "study", "alice", plan.sql, "duckdb", 1, json.dumps(plan_document(plan)), State.RUNNING
    )
    crossings = [
        query_pb2.Crossing(exchange_id="x2", sender="cnam", form="aggregate", bytes=1_040),
        *(query_pb2.Crossing(exchange_id="x1", sender=n, receiver="cnam", form="rows") for n in SENDERS),
    ]
    if plan.exchanges[0].certificate == certificate(0, "cnam"):
        for crossing in crossings[1:]:
            crossing.bytes = 5_000
    info = query_pb2.ResultInfo(complete=True, elapsed_ms=30.0, stages=stages, crossings=crossings)
    return explained_query(record, State.FINISHED, ResultHead(18, info.SerializeToString(), 1, 99))


# --- the JSON form -----------------------------------------------------------------------------------------------


def documents() -> list[dict[str, Any]]:
    """Return a plan that was not run, and one that was."""
    return [json.loads(json.dumps(plan_document(linked()))), json.loads(run_of(linked(), measured(linked()))[1])]


@pytest.mark.parametrize("number", [0, 1], ids=["planned", "run"])
def test_a_plan_fits_its_schema_and_holds_nothing_that_is_not_described(number: int) -> None:
    document = documents()[number]
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)
    described = explain.read(json.dumps(document)).model_dump(mode="json", exclude_unset=True)
    assert described == document
    assert (document["format"], document["version"]) == ("archipel-plan", 1)


def test_the_schema_refuses_what_is_no_plan() -> None:
    document = documents()[1]
    for change in ({"version": 2}, {"format": "x"}, {"stages": [{"stage_id": "s1"}]}, {"measured": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | change, SCHEMA)


def test_readers_ignore_fields_that_they_do_not_know_and_refuse_other_versions() -> None:
    document = documents()[0]
    assert explain.read(json.dumps(document | {"new": 1})) == explain.read(json.dumps(document))
    for text in ("{}", "no json", json.dumps(document | {"version": 2})):
        with pytest.raises(errors.ProgrammingError, match="no plan of the format archipel-plan, version 1"):
            explain.read(text)
    with pytest.raises(errors.ProgrammingError, match="stages that it does not have"):
        explain.read(json.dumps(document | {"result_stage": "s9"}))


def test_exchanges_from_nodes_to_nodes_are_marked_as_sealed() -> None:
    assert [e["sealed"] for e in plan_document(linked())["exchanges"]] == [True, False, False]


# --- text --------------------------------------------------------------------------------------------------------


def test_the_text_tells_stages_borders_rules_and_the_ways_not_taken() -> None:
    assert explain_text(linked()).splitlines() == [
        "Plan with 4 stages at 3 nodes and the coordinator",
        "",
        "s1 node at hospital_a, hospital_b",
        '    SELECT "g" FROM "stays"',
        "    -> x1 for s2: sealed, crosses as rows, about 1,000 rows and 40,000 bytes; allowed by: peers: cnam",
        "       'cnam' learns g of every person whom the statement leaves at each of 'hospital_a', 'hospital_b', also "
        "of those whom it does not have itself, who are pseudonyms of this project to it.",
        "       The coordinator learns who sends to whom, and the padded size.",
        "",
        "s2 node at cnam, over x1",
        '    SELECT "g" AS "g" FROM "x1" JOIN "drugs" GROUP BY 1',
        "    -> x2 for s3: crosses as aggregate, about 20 rows and 960 bytes; allowed by: 11 persons",
        "",
        "s3 merge at the coordinator, over x2",
        '    SELECT "g" FROM "x2" GROUP BY 1',
        "    may be cut by hash of: g",
        "    -> x3 for s4: stays at the coordinator",
        "",
        "s4 finish at the coordinator, over x3",
        '    SELECT "g" FROM "x3" ORDER BY 1',
        "",
        "Result: g VARCHAR",
        "Not pushed down: ORDER BY stays at the coordinator: groups are whole only there.",
        "Not taken: join at hospital_a, about 9,000,000 bytes: more bytes",
        "Not taken: join at the coordinator: policy lets no rows go there",
        "Note: Counts are of stays.",
    ]


def test_what_was_measured_stands_beside_what_was_estimated_by_stage_and_node() -> None:
    text, _ = run_of(linked(0), measured(linked(0), Withheld(True, 11, 2)))
    lines = text.splitlines()
    assert lines[1] == "Query q1 finished after 30.0 ms with 18 rows"
    assert (
        "    measured: rows not told (estimated 1,000), 10,000 bytes (estimated 40,000), 11.0 ms\n"
        "        node        rows  bytes  engine ms  waiting ms  total ms  attempts\n"
        "        hospital_a     -  5,000        4.0         6.0      10.0         1\n"
        "        hospital_b     -  5,000        4.0         7.0      11.0         1\n"
    ) in text
    assert (
        "    measured: 18 rows (estimated 20), 1,040 bytes (estimated 960), 10.0 ms\n"
        "        node  rows  bytes  engine ms  waiting ms  total ms  attempts\n"
        "        cnam    18  1,040        3.5         6.5      10.0         2\n"
    ) in text
    assert "    measured: 18 rows, 2.0 ms, in-process" in lines
    assert "    measured: 18 rows, 1.0 ms" in lines


def test_a_query_that_did_not_finish_has_its_plan_and_no_measures() -> None:
    plan = linked()
    problem = errors.ErrorInfo(errors.TIMEOUT, "Too late.")
    record = QueryRecord(
        *("q1", "r", "d", "p", "study", "alice", plan.sql, "duckdb", 1, json.dumps(plan_document(plan))),
        state=State.FAILED,
        error=problem,
    )
    text, document = explained_query(record, State.FAILED, None)
    assert text.splitlines()[1] == "Query q1 failed: TIMEOUT"
    assert "measured" not in text
    assert json.loads(document)["measured"] is None
    jsonschema.validate(json.loads(document), SCHEMA)


# --- what is not told --------------------------------------------------------------------------------------------


def test_rows_are_not_told_where_a_node_does_not_tell_how_many_groups_it_withheld() -> None:
    stages = {m.stage_id: m for m in measured(linked(), Withheld(True, 11, None))}
    assert not stages["s2"].HasField("rows")
    assert not stages["s2"].sites[0].HasField("rows")
    assert stages["s2"].sites[0].bytes == 1_040  # as its receipt states
    assert not stages["s3"].HasField("rows"), "what is merged of one node's groups is as many"
    assert stages["s4"].rows == 18, "these are in the result"


def test_rows_are_told_where_no_threshold_was_in_force_or_the_count_of_withheld_groups_is_told_too() -> None:
    for withheld in (Withheld(False, 0, None), Withheld(True, 11, 0), Withheld(True, 11, 3)):
        stages = {m.stage_id: m for m in measured(linked(), withheld)}
        assert stages["s2"].rows == stages["s2"].sites[0].rows == 18
        assert stages["s3"].rows == 18


def test_neither_rows_nor_bytes_are_told_of_persons_that_go_sealed_from_node_to_node() -> None:
    for plan in (linked(11), replace(linked(), exchanges=(replace(linked().exchanges[0], certificate=None),))):
        stage = measured(plan)[0]
        assert stage.stage_id == "s1"
        assert not any(site.HasField("bytes") or site.HasField("rows") for site in stage.sites)
    text, document = run_of(linked(11), measured(linked(11)))
    assert "measured: rows not told (estimated 1,000), bytes not told (estimated 40,000), 11.0 ms" in text
    assert "how many persons were linked" in text.splitlines()[-1]
    assert "5000" not in document


def test_bytes_of_each_exchange_are_told_where_they_may_be() -> None:
    for plan, told in ((linked(0), 10_000), (linked(11), None)):
        exchanges = json.loads(run_of(plan, measured(plan))[1])["exchanges"]
        assert [e["measured_bytes"] for e in exchanges] == [told, 1_040, None]


def test_what_one_stage_sent_to_several_others_is_told_apart() -> None:
    plan = linked(0)
    again = replace(plan.exchanges[0], exchange_id="x0")
    text, _ = run_of(replace(plan, exchanges=(again, *plan.exchanges)), measured(plan))
    assert "10,000 bytes (estimated 80,000), 11.0 ms\n        x0: bytes not told\n        x1: 10,000 bytes\n" in text


def test_bytes_of_sealed_exchanges_without_persons_are_told() -> None:
    assert [site.bytes for site in measured(linked(0))[0].sites] == [5_000, 5_000]


def test_a_task_that_was_sent_again_counts_from_its_first_attempt() -> None:
    (site,) = measured(linked())[1].sites
    assert (site.attempts, round(site.total_ms, 6)) == (2, 10.0)


# --- the picture -------------------------------------------------------------------------------------------------


def picture(document: dict[str, Any] | str) -> ET.Element:
    """Return a plan's picture, read as XML."""
    text = document if isinstance(document, str) else json.dumps(document)
    return ET.fromstring(explain.svg(explain.read(text)))


def words(drawn: ET.Element) -> list[str]:
    """Return the lines of text of a picture."""
    return ["".join(element.itertext()) for element in drawn.iter(f"{SVG}text")]


def test_the_picture_shows_sites_as_lanes_and_exchanges_with_form_and_bytes() -> None:
    drawn = picture(run_of(linked(), measured(linked(), Withheld(True, 11, 0)))[1])
    shown = words(drawn)
    assert shown[0] == "Query finished after 30.0 ms"
    for line in (
        *("2 nodes", "hospital_a, hospital_b", "cnam", "coordinator"),
        *("s1 node", "10.0 ms to 11.0 ms", "s3 merge", "2.0 ms, over x2"),
        *("x1: rows, sealed", "about 1,000 rows, 40.0 kB", "measured: not told"),
        *("x2: aggregate", "about 20 rows, 960 B", "measured: 18 rows, 1.0 kB"),
        "result: 18 rows",
    ):
        assert line in shown
    assert not any(line.startswith("x3:") for line in shown), "it stays at the coordinator"


def test_below_the_picture_stands_what_was_not_pushed_down_and_which_ways_were_not_taken() -> None:
    below = words(picture(plan_document(linked())))[-4:]
    assert [line.partition(":")[0] for line in below] == ["Not pushed down", "Not taken", "Not taken", "Note"]
    many = plan_document(replace(linked(), notes=tuple(f"note {n}" for n in range(30))))
    assert words(picture(many))[-1] == "and 21 more: see the text"


def test_only_sealed_arrows_are_dashed() -> None:
    groups = [g for g in picture(plan_document(linked())).iter(f"{SVG}g") if any(t.startswith("x") for t in words(g))]
    dashed = {words(g)[0]: any(part.get("stroke-dasharray") for part in g) for g in groups}
    assert dashed == {"x1: rows, sealed": True, "x2: aggregate": False}


def test_the_pointer_finds_the_sql_the_rule_and_the_nodes_figures() -> None:
    drawn = picture(run_of(linked(), measured(linked(), Withheld(True, 11, 0)))[1])
    tips = [element.text or "" for element in drawn.iter(f"{SVG}title")]
    assert any('SELECT "g" AS "g" FROM "x1" JOIN "drugs" GROUP BY 1\ncnam: 18 rows, 1.0 kB' in tip for tip in tips)
    assert any("allowed by: peers: cnam" in tip and "cannot read" in tip for tip in tips)
    assert any("hospital_a: stays to cnam as rows" in tip for tip in tips)


def test_a_hundred_nodes_are_as_legible_as_three() -> None:
    many = linked(senders=tuple(f"hospital_{n:03}" for n in range(100)))
    three, hundred = picture(plan_document(linked())), picture(plan_document(many))
    assert "100 nodes" in words(hundred)
    assert (hundred.get("width"), hundred.get("height")) == (three.get("width"), three.get("height"))
    assert len(explain.svg(explain.read(json.dumps(plan_document(many))))) < 40_000


def test_nodes_that_all_do_something_else_share_the_last_lane_beyond_a_number() -> None:
    stages = tuple(Stage(f"s{n}", StageKind.NODE, (f"n{n:02}",), "SELECT 1", (G,)) for n in range(20))
    exchanges = tuple(Exchange(f"x{n}", f"s{n}", "f", Form.ROWS, "rows", 1, 8) for n in range(20))
    last = Stage("f", StageKind.FINISH, (COORDINATOR,), "SELECT 1", (G,), tuple(e.exchange_id for e in exchanges))
    plan = explain.read(json.dumps(plan_document(Plan("q", (*stages, last), exchanges, "f", (G,)))))
    lanes = lanes_of(plan)
    assert len(lanes) == MOST_LANES + 1
    assert lanes[-1].is_coordinator
    assert sorted(site for lane in lanes for site in lane.sites) == sorted([*plan.nodes(), COORDINATOR])
    assert "1 of 14 nodes" in words(ET.fromstring(explain.svg(plan)))


def test_nodes_that_send_to_each_other_have_an_arrow_though_they_share_a_lane() -> None:
    nodes = ("a", "b")
    stages = (
        Stage("s1", StageKind.NODE, nodes, "SELECT 1", (G,)),
        Stage("s2", StageKind.NODE, nodes, "SELECT 2", (G,), ("x1",)),
    )
    plan = Plan("q", stages, (Exchange("x1", "s1", "s2", Form.ROWS, "peers", 1, 8, "p"),), "s2", (G,))
    drawn = picture(plan_document(plan))
    assert len(list(drawn.iter(f"{SVG}path"))) == 1
    assert "result" in words(drawn), "rows of nodes are the result: they cross, too"
    assert "sealed, crosses as rows cut by p, about" in explain_text(plan)


def test_whatever_stands_in_a_plan_is_text_in_the_picture() -> None:
    evil = '<script>alert("1")</script>&\x00\x1b\ud800]]>'
    plan = linked()
    stage = replace(plan.stages[0], sql=f"SELECT '{evil}' AS \"{evil}\"", sites=(evil,))
    exchange = replace(plan.exchanges[0], rule=evil)
    document = plan_document(replace(plan, stages=(stage, *plan.stages[1:]), exchanges=(exchange, *plan.exchanges[1:])))
    text = explain.svg(explain.PlanDocument.model_validate(document))
    drawn = ET.fromstring(text)
    text.encode()
    assert "\x1b" not in text
    assert {element.tag.removeprefix(SVG) for element in drawn.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "g", "text", "line", "circle", "polygon", "path")
    }
    names = {name for element in drawn.iter() for name in element.attrib}
    assert not any(name.startswith("on") or "href" in name or name == "id" for name in names)
    assert any("<script>" in line for line in words(drawn))


def test_the_picture_has_a_ground_of_its_own_and_colours_for_the_dark() -> None:
    drawn = picture(plan_document(linked()))
    ground = next(drawn.iter(f"{SVG}rect"))
    assert (ground.get("width"), ground.get("fill")) == (drawn.get("width"), "#ffffff")
    style = next(drawn.iter(f"{SVG}style")).text or ""
    assert "prefers-color-scheme:dark" in style
    used = {name for element in drawn.iter() for name in (element.get("class") or "").split() if "-" in name}
    assert all(name == "archipel-plan" or f".{name}{{" in style for name in used)


def test_an_explanation_shows_itself_in_a_notebook_as_picture_and_text() -> None:
    text, document = run_of(linked(), measured(linked()))
    shown = Explanation(text, document, "q1")
    assert ET.fromstring(shown._repr_svg_() or "").tag == f"{SVG}svg"
    assert shown.svg in shown._repr_html_()
    assert "<pre>Plan with 4 stages" in shown._repr_html_()
    assert "FROM &quot;stays&quot;" in shown._repr_html_()
    assert (str(shown), repr(shown)) == (text, text)
    assert json.loads(str(replace(shown, form="json"))) == shown.to_dict() == json.loads(document)
    assert str(replace(shown, form="svg")) == shown.svg


def test_the_plan_of_a_newer_coordinator_is_still_shown_as_text() -> None:
    newer = Explanation("the <plan>", json.dumps(plan_document(linked()) | {"version": 2}))
    assert newer._repr_svg_() is None
    assert newer._repr_html_() == "<pre>the &lt;plan&gt;</pre>"
    with pytest.raises(errors.ProgrammingError, match="no plan of the format"):
        newer.svg  # noqa: B018 - the property draws


# --- EXPLAIN before a query --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "analyze", "form", "rest"),
    [
        ("EXPLAIN SELECT 1", False, "text", "SELECT 1"),
        ("explain analyze select 1", True, "text", "select 1"),
        ("Explain Analyse WITH a AS (SELECT 1) FROM a", True, "text", "WITH a AS (SELECT 1) FROM a"),
        ("-- why?\n/* is it\n slow */ EXPLAIN -- tell\nANALYZE\nSELECT 1", True, "text", "SELECT 1"),
        ("EXPLAIN (ANALYZE, FORMAT json) SELECT 1", True, "json", "SELECT 1"),
        ("EXPLAIN (FORMAT 'svg')SELECT 1", False, "svg", "SELECT 1"),
        ("EXPLAIN (analyze off, format text) SELECT 1", False, "text", "SELECT 1"),
        ("EXPLAIN (SELECT 1)", False, "text", "(SELECT 1)"),
        ("EXPLAIN(SELECT analyze FROM t)", False, "text", "(SELECT analyze FROM t)"),
        ("EXPLAIN EXPLAIN SELECT 1", False, "text", "EXPLAIN SELECT 1"),
        ("EXPLAIN DELETE FROM t", False, "text", "DELETE FROM t"),
        ("EXPLAIN", False, "text", ""),
        ("EXPLAIN\u00a0SELECT 1", False, "text", "SELECT 1"),
    ],
)
def test_explain_is_read_off_a_query_which_stays_in_its_place(sql: str, analyze: bool, form: str, rest: str) -> None:
    asked = explain.explain_statement(sql)
    assert asked is not None
    assert (asked.analyze, asked.form, asked.sql.strip()) == (analyze, form, rest)
    assert len(asked.sql) == len(sql)
    assert asked.sql.count("\n") == sql.count("\n")
    assert sql.endswith(rest)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "explained",
        "EXPLAIN_ME",
        'SELECT "EXPLAIN"',
        "WITH explain AS (SELECT 1) FROM explain",
        "",
        "--EXPLAIN",
    ],
)
def test_other_queries_are_no_explain(sql: str) -> None:
    assert explain.explain_statement(sql) is None


@pytest.mark.parametrize("options", ["ANALYZE, VERBOSE", "FORMAT yaml", "ANALYZE perhaps", "FORMAT", "ANALYZE,"])
def test_an_option_that_there_is_not_is_told_with_its_place(options: str) -> None:
    with pytest.raises(errors.ProgrammingError) as problem:
        explain.explain_statement(f"-- a\nEXPLAIN ({options}) SELECT 1")
    assert (problem.value.code, problem.value.position) == ("SQL_SYNTAX", errors.Position(2, 10))
    assert "FORMAT text, json or svg" in problem.value.hint


def test_a_thousand_comments_are_read_in_no_time() -> None:
    began = time.perf_counter()
    assert explain.explain_statement("/* */ -- x\n" * 50_000 + "SELECT 1") is None
    assert explain.explain_statement("/*" * 50_000) is None
    assert time.perf_counter() - began < 5
