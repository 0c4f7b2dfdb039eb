"""Generated queries over the generated worlds: text, put together from parts that are right wherever they stand.

What one database itself leaves open is left out: LIMIT without a total order, ties of arg_max, order among equals.
LIMIT and HAVING stand over exact values only, since a double may differ in its last bits.
"""

# ruff: noqa: S608  (queries are text here, as a researcher writes them)

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

NUMBERS = ("f.i", "f.i + 1", "f.i % 3", "coalesce(f.i, 0)", "length(f.k)", "CASE WHEN f.b THEN f.i END", "year(f.d)")
TEXTS = ("f.k", "coalesce(f.k, '?')", "upper(f.k)", "f.k || '!'", "left(f.k, 1)")
KEYS = ("f.k", "f.j", "f.b", "f.site", "f.d", "f.j + 1", "f.k IS NULL", "f.i % 2", "coalesce(f.k, '')", "f.x")
EXACT = (
    *("count(*)", "count(f.k)", "count(f.x)", "count_if(f.b)", "count(*) FILTER (WHERE f.i > 1)", "sum(f.i)"),
    *(
        "sum(f.m)",
        "sum(f.j) FILTER (WHERE f.b)",
        "min(f.k)",
        "max(f.k)",
        "min(f.i)",
        "max(f.h)",
        "min(f.d)",
        "max(f.m)",
    ),
    *("bool_and(f.b)", "bool_or(f.i > 2)", "bit_or(f.j)", "bit_and(f.j)", "bit_xor(f.j)", "arg_max(f.k, f.u)"),
    *(
        "arg_min(f.i, f.u)",
        "arg_max(f.x, f.u) IS NULL",
        "count(DISTINCT f.site)",
        "count(DISTINCT f.k)",
        "sum(f.h % 1000)",
    ),
    *("count(DISTINCT f.x)", "sum(DISTINCT f.j)", "max(length(f.k))", "string_agg(f.k, '|' ORDER BY f.u)"),
    *("regr_count(f.y, f.i)", "count(DISTINCT f.j) FILTER (WHERE f.b)", "list(f.j ORDER BY f.u)"),
    *("count(DISTINCT (f.i, f.k))", "count(DISTINCT f.h)", "min(DISTINCT f.d)", "quantile_disc(f.i, 0.3)"),
    *("quantile_disc(f.k, 0.5)", "median(f.h)", "quantile_disc(f.x, [0.1, 0.9])", "median(DISTINCT f.i)"),
    *("median(f.m) FILTER (WHERE f.b)", "quantile_disc(f.d, 0.75)"),
)
ROUNDED = (
    *(
        "sum(f.x)",
        "avg(f.x)",
        "avg(f.i)",
        "avg(f.m)",
        "sum(f.x) FILTER (WHERE f.x < 3)",
        "var_pop(f.y)",
        "var_samp(f.y)",
    ),
    *(
        "stddev(f.y)",
        "stddev_pop(f.y) FILTER (WHERE f.b)",
        "covar_pop(f.y, f.j)",
        "covar_samp(f.j, f.y)",
        "corr(f.y, f.j)",
    ),
    *(
        "regr_slope(f.y, f.j)",
        "regr_intercept(f.y, f.j)",
        "regr_r2(f.y, f.j)",
        "regr_avgx(f.y, f.j)",
        "regr_sxy(f.y, f.j)",
    ),
    *("median(f.y)", "quantile_cont(f.y, 0.25)", "avg(f.h)", "max(f.x)", "min(f.x)", "fsum(f.y)", "product(f.j)"),
    *("sum(DISTINCT f.y)", "avg(DISTINCT f.x)", "mad(f.y)", "kurtosis(f.j)", "entropy(f.k)", "var_pop(DISTINCT f.y)"),
)
CONDITIONS = (
    *("f.i > 1", "f.k IS NULL", "f.k = 'a'", "f.b", "NOT f.b", "f.i IN (1, 2, NULL)", "f.k LIKE 'a%'", "f.x > 1"),
    *(
        "f.x IS DISTINCT FROM 1.5",
        "f.d >= DATE '2020-01-01'",
        "f.i BETWEEN 0 AND 2",
        "f.k <> ''",
        "f.m > 0",
        "f.j = f.i",
    ),
    *("f.x <= 'nan'::DOUBLE", "f.k IN ('a', 'é', '')", "f.site = 's00'", "f.y + f.i > 0", "isnan(f.x)"),
)
SUBQUERY_CONDITIONS = (
    *("EXISTS (SELECT 1 FROM more e WHERE e.site = f.site AND e.item = f.item)",),
    *("NOT EXISTS (SELECT 1 FROM more e WHERE e.site = f.site AND e.item = f.item AND e.w > 1)",),
    *("f.site IN (SELECT e.site FROM more e WHERE e.w > 1)", "f.k IN (SELECT r.k FROM ref r WHERE r.f = 1)"),
    *("f.k NOT IN (SELECT e.k FROM more e WHERE e.w > 1)", "f.k IN (SELECT l.k FROM lone l)"),
    *("f.i > (SELECT avg(g.i) FROM facts g)", "f.j = (SELECT max(l.j) FROM lone l)"),
    *("(f.site, f.item) IN (SELECT e.site, e.item FROM more e)", "f.i >= ALL (SELECT e.w FROM more e WHERE e.w < 3)"),
    *("f.site NOT IN (SELECT e.site FROM more e WHERE e.w = 5)",),
    *(
        "(SELECT count(*) FROM more e WHERE e.site = f.site) > 1",
        "f.k IN (SELECT g.k FROM facts g GROUP BY g.k HAVING count(*) > 1)",
    ),
)
SOURCES = (
    "facts f",
    "(SELECT * FROM facts WHERE i IS NOT NULL) f",
    "facts f JOIN more e ON e.site = f.site AND e.item = f.item",
    "facts f LEFT JOIN more e ON e.site = f.site AND e.item = f.item",
    "more e RIGHT JOIN facts f ON e.site = f.site AND e.item = f.item",
    "facts f FULL JOIN more e ON e.site = f.site AND e.item = f.item",
    "facts f, more e",
    "facts f JOIN ref r ON r.k = f.k",
    "facts f LEFT JOIN ref r ON r.k = f.k",
    "ref r RIGHT JOIN facts f ON r.k = f.k",
    "ref r LEFT JOIN facts f ON r.k = f.k",
    "facts f FULL JOIN ref r ON r.k IS NOT DISTINCT FROM f.k",
    "facts f JOIN lone l ON l.k = f.k",
    "lone l LEFT JOIN facts f ON l.k = f.k",
    "facts f SEMI JOIN more e ON e.site = f.site AND e.item = f.item",
    "facts f ANTI JOIN more e ON e.site = f.site",
    "facts f JOIN facts g ON g.site = f.site AND g.j < f.j",
    "facts f JOIN more e ON e.k = f.k",
    "(SELECT * FROM facts UNION ALL SELECT * FROM facts WHERE b) f",
    "(SELECT * FROM facts ORDER BY u LIMIT 4) f",
    "facts f JOIN (SELECT * FROM ref ORDER BY k NULLS FIRST LIMIT 2) r ON r.k = f.k",
    "facts f JOIN more e ON e.site = f.site JOIN ref r ON r.k = e.k",
    "facts f LEFT JOIN more e ON e.site = f.site AND e.item = f.item LEFT JOIN ref r ON r.k = e.k",
    "facts f JOIN (SELECT k, count(*) AS c FROM more GROUP BY k) q ON q.k = f.k",
    "facts f LEFT JOIN (SELECT site, item, sum(w) AS c FROM more GROUP BY ALL) q USING (site, item)",
    "(SELECT f.* FROM facts f JOIN lone l ON l.k = f.k) f",
    "(facts f JOIN more e ON e.site = f.site) JOIN ref r ON r.k = f.k",
    "facts f JOIN more e USING (site, item)",
    "(SELECT *, row_number() OVER (PARTITION BY site ORDER BY u) AS rn FROM facts) f",
    "(SELECT * FROM facts QUALIFY row_number() OVER (PARTITION BY site ORDER BY u DESC) < 3) f",
    "(SELECT * FROM facts WHERE k IN (SELECT k FROM more)) f",
    "(SELECT site, max(item) AS item, count(*) AS u, min(k) AS k, max(j) AS j, bool_or(b) AS b, min(d) AS d,"
    " sum(i) AS i, max(h) AS h, sum(m) AS m, max(x) AS x, sum(y) AS y FROM facts GROUP BY site) f",
    "(SELECT DISTINCT ON (site) * FROM facts ORDER BY site, u) f",
)
PLAIN = (
    "SELECT count(*), count(f.k), sum(f.i), max(f.u), min(f.k), arg_max(f.k, f.u), avg(f.i) FROM {}",
    "SELECT f.k, count(*), sum(f.m), count_if(f.b), median(f.y), stddev(f.y) FROM {} GROUP BY f.k ORDER BY f.k",
    "SELECT f.site, count(*), median(f.y), count(DISTINCT f.k), arg_min(f.i, f.u) FROM {} GROUP BY f.site",
    "SELECT f.site, f.item, list(f.j ORDER BY f.j), count(*), corr(f.y, f.i) FROM {} GROUP BY f.site, f.item",
    "SELECT f.u, rank() OVER (PARTITION BY f.site ORDER BY f.u) FROM {}",
    "SELECT DISTINCT f.site, f.k FROM {} ORDER BY ALL",
    "SELECT count(*), count(f.u), sum(f.j) FROM {} WHERE f.k IS NULL",
)
"""Queries that would show rows lost or twice, and groups torn apart, whatever the source."""


@dataclass(frozen=True)
class Query:
    """A query; ``exact`` says that no output is a double that was summed."""

    sql: str
    exact: bool


def _some(values: tuple[str, ...], least: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=True)


@st.composite
def conditions(draw: st.DrawFn, *, subqueries: bool = True) -> str:
    """Return the text of a condition."""
    parts = CONDITIONS + SUBQUERY_CONDITIONS if subqueries else CONDITIONS
    found = [draw(st.sampled_from(parts)) for _ in range(draw(st.integers(1, 2)))]
    if len(found) == 1:
        return found[0]
    return draw(st.sampled_from(("{} AND {}", "{} OR {}", "{} AND NOT ({})"))).format(*found)


def _where(draw: st.DrawFn) -> str:
    return f" WHERE {draw(conditions())}" if draw(st.booleans()) else ""


@st.composite
def aggregations(draw: st.DrawFn, source: str | None = None) -> Query:
    """Return an aggregating SELECT, over ``source`` or any other."""
    source = source or draw(st.sampled_from(SOURCES))
    keys = draw(_some(KEYS, 0, 2))
    exact = ["count(*)", *draw(_some(EXACT[1:], 1, 3))]
    rounded = draw(_some(ROUNDED, 0, 2))
    outputs = [f"{key} AS k{n}" for n, key in enumerate(keys)]
    outputs += [f"{call} AS a{n}" for n, call in enumerate([*exact, *rounded])]
    sql = f"SELECT {', '.join(outputs)} FROM {source}{_where(draw)}"
    if keys:
        names = ", ".join(f"k{n}" for n in range(len(keys)))
        spelled = (names, ", ".join(keys), ", ".join(str(n + 1) for n in range(len(keys))), "ALL")
        sets = (f"ROLLUP ({names})", f"CUBE ({names})", f"GROUPING SETS (({names}), ())")
        sql += f" GROUP BY {draw(st.sampled_from(spelled + spelled + sets))}"
    if draw(st.integers(0, 3)) == 0:
        sql += f" HAVING {draw(st.sampled_from(('count(*) > 1', 'sum(f.j) > 2', 'count(f.k) < count(*)')))}"
    return _ordered(draw, sql, exact=not rounded and "f.x" not in keys)


@st.composite
def row_queries(draw: st.DrawFn, source: str | None = None) -> Query:
    """Return a SELECT of rows, perhaps DISTINCT, perhaps with a window, over ``source`` or any other."""
    source = source or draw(st.sampled_from(SOURCES))
    outputs = draw(_some((*NUMBERS, *TEXTS, "f.u", "f.x", "f.d", "f.m", "f.h", "f.b"), 1, 4))
    windows = (
        "row_number() OVER (PARTITION BY f.site ORDER BY f.u, f.item, f.k, f.i, f.j, f.x)",
        "count(*) OVER (PARTITION BY f.k)",
        "sum(f.i) OVER (PARTITION BY f.site)",
        "rank() OVER (ORDER BY f.i, f.k)",
        "max(f.h) OVER ()",
    )
    if draw(st.integers(0, 2)) == 0:
        outputs += draw(_some(windows, 1, 1))
    scalars = (
        "(SELECT count(*) FROM more m2 WHERE m2.site = f.site AND m2.item = f.item)",
        "(SELECT max(r2.label) FROM ref r2 WHERE r2.k = f.k)",
        "(SELECT count(*) FROM facts)",
        "f.k IN (SELECT m2.k FROM more m2)",
    )
    if draw(st.integers(0, 3)) == 0:
        outputs += draw(_some(scalars, 1, 1))
    distinct = draw(st.sampled_from(("", "", "DISTINCT ")))
    named = ", ".join(f"{output} AS c{n}" for n, output in enumerate(outputs))
    return _ordered(draw, f"SELECT {distinct}{named} FROM {source}{_where(draw)}", exact=True)


@st.composite
def combinations(draw: st.DrawFn) -> Query:
    """Return queries made of queries: set operations, WITH parts, aggregates and windows over aggregates."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        operator = draw(st.sampled_from(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")))
        left, right = (f"SELECT f.k AS k, f.j AS j FROM facts f{_where(draw)}" for _ in range(2))
        other = draw(st.sampled_from((right, "SELECT r.k, r.f FROM ref r", "SELECT e.k, e.w FROM more e")))
        return _ordered(draw, f"{left} {operator} {other}", exact=True)
    inner = f"SELECT f.k AS k, f.j AS j, count(*) AS n, sum(f.i) AS s FROM facts f{_where(draw)} GROUP BY f.k, f.j"
    if kind == 1:
        outer = draw(st.sampled_from(("max(n)", "sum(s)", "count(*)", "sum(n * 2)")))
        return _ordered(draw, f"WITH q AS ({inner}) SELECT k, {outer} AS a FROM q GROUP BY k", exact=True)
    if kind == 2:
        window = draw(
            st.sampled_from(
                ("sum(count(*)) OVER ()", "rank() OVER (ORDER BY count(*), f.k)", "lag(count(*)) OVER (ORDER BY f.k)")
            )
        )
        sql = f"SELECT f.k AS k, count(*) AS n, {window} AS w FROM facts f{_where(draw)} GROUP BY f.k"
        return _ordered(draw, sql, exact=True)
    join = draw(st.sampled_from(("JOIN", "LEFT JOIN", "FULL JOIN")))
    other = "SELECT e.k AS k, sum(e.w) AS w FROM more e GROUP BY e.k"
    sql = f"WITH q AS ({inner}), o AS ({other}) SELECT q.k AS k, j, n, w FROM q {join} o ON o.k = q.k"
    return _ordered(draw, sql, exact=True)


def _ordered(draw: st.DrawFn, sql: str, *, exact: bool) -> Query:
    order = draw(st.sampled_from(("", " ORDER BY ALL", " ORDER BY ALL LIMIT 3", " ORDER BY ALL LIMIT 5 OFFSET 1")))
    if "LIMIT" in order and not exact:
        order = " ORDER BY ALL"
    return Query(sql + order, exact)


@st.composite
def node_queries(draw: st.DrawFn) -> Query:
    """Return aggregating queries that name the node: as a key, as a choice, or as both."""
    keys = draw(st.sampled_from((["f._node"], ["f._node", "f.k"], ["f.k"], [])))
    calls = draw(_some((*EXACT, "median(f.y)", "count(DISTINCT f.person)", "mode(f.j) IS NULL"), 1, 3))
    source = draw(st.sampled_from(("facts f", "facts f JOIN more e ON e.site = f.site AND e._node = f._node")))
    where = draw(
        st.sampled_from(
            ("", " WHERE f._node = 'n0'", " WHERE f._node IN ('n1', 'n2', 'none') AND f.i > 0", " WHERE 'n1' = f._node")
        )
    )
    outputs = [f"{key} AS k{n}" for n, key in enumerate(keys)] + [f"{call} AS a{n}" for n, call in enumerate(calls)]
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    sql = f"SELECT {', '.join(outputs)} FROM {source}{where}{group}"
    return _ordered(draw, sql, exact="median(f.y)" not in calls)


@st.composite
def batches(draw: st.DrawFn) -> list[Query]:
    """Return queries of every kind: a plain aggregation over every source, and some of the others."""
    found = [Query(draw(st.sampled_from(PLAIN)).format(source), exact=False) for source in SOURCES]
    found += [draw(aggregations(source)) for source in draw(_some(SOURCES, 14, 14))]
    found += [draw(row_queries(source)) for source in draw(_some(SOURCES, 8, 8))]
    return [*found, *(draw(combinations()) for _ in range(5)), *(draw(node_queries()) for _ in range(3))]


@dataclass(frozen=True)
class Threshold:
    """A query over protected rows, and one over all rows that keeps only groups with enough persons at their node."""

    sql: str
    released: str


GUARDED_KEYS = ("f.k", "f.j", "f.b", "coalesce(f.k, '?')", "f.d", "year(f.d)", "f._node")
GUARDED_CALLS = (
    *("count(*)", "sum(f.i)", "avg(f.m)", "stddev_samp(f.y)", "sum(f.m)"),
    *("corr(f.y, f.i)", "regr_slope(f.x, f.i)", "count(f.k)", "count(*) FILTER (WHERE f.j = 1)", "var_pop(f.x)"),
)
GUARDED_SOURCES = (
    "facts f",
    "facts f JOIN more e ON e.site = f.site AND e.item = f.item AND e.person = f.person",
    "facts f LEFT JOIN ref r ON r.k = f.k",
    "(SELECT *, _node FROM facts WHERE i >= 0) f",
)


@st.composite
def guarded_queries(draw: st.DrawFn) -> str:
    """Return queries of which the border lets the parts out."""
    keys = draw(_some(GUARDED_KEYS, 1, 2))
    calls = draw(_some(GUARDED_CALLS, 1, 3))
    outputs = [f"{key} AS k{n}" for n, key in enumerate(keys)] + [f"{call} AS a{n}" for n, call in enumerate(calls)]
    where = draw(st.sampled_from(("", " WHERE f.j = 1", " WHERE f.k IS NOT NULL", " WHERE f.b OR f.i >= 0")))
    names = ", ".join(f"k{n}" for n in range(len(keys)))
    group = draw(st.sampled_from((names, "ALL", f"ROLLUP ({names})")))
    having = draw(st.sampled_from(("", "", " HAVING count(*) > 12")))
    window = draw(st.sampled_from(("", ", sum(count(*)) OVER () AS w")))
    sql = f"SELECT {', '.join(outputs)}{window} FROM {draw(st.sampled_from(GUARDED_SOURCES))}{where} GROUP BY {group}"
    return f"{sql}{having} ORDER BY ALL"


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    """Return a query by one key whose groups are in part too small at some nodes."""
    key = draw(st.sampled_from(("f.k", "f.j", "f.b", "coalesce(f.k, '?')", "f.k || f.j")))
    calls = draw(_some(("count(*)", "sum(f.i)", "sum(f.m)", "avg(f.i)"), 1, 3))
    where = draw(st.sampled_from(("TRUE", "f.j = 1", "f.i < 15", "f.i % 2 = 0")))
    outputs = ", ".join(f"{call} AS a{n}" for n, call in enumerate(calls))
    sql = f"SELECT {key} AS g, {outputs} FROM facts f WHERE {where} GROUP BY g ORDER BY ALL"
    enough = (
        f"SELECT {key} AS g, f._node AS n FROM facts f WHERE {where} GROUP BY ALL HAVING count(DISTINCT f.person) >= 11"
    )
    released = (
        f"SELECT {key} AS g, {outputs} FROM facts f JOIN ({enough}) e "
        f"ON e.n = f._node AND e.g IS NOT DISTINCT FROM {key} WHERE {where} GROUP BY {key} ORDER BY ALL"
    )
    return Threshold(sql, released)
