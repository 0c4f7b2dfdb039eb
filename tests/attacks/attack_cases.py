"""The hostile statements: read from ``cases/``, and those whose text is no plain line, written here.

A file of ``cases/refused`` and ``cases/failures`` has one statement a block, after its lines of header::

    -- identifier: what the attacker is after
    -- refused CODE rule          the error's code ("SQL_*": any of that kind, "*": any) and the border check's rule
    -- inputs suspects, fill      tables that the hostile coordinator hands in
    SELECT ...

Those of ``cases/peer`` and ``cases/received`` have the same form.

In ``cases/small`` and ``cases/masked`` the statement may run; after ``-- oracle`` stands what is asked of all rows.
Its first columns are the released groups' keys (``-- keys 1``), the others numbers of persons: the first must reach
the threshold (``-- persons 20``, by default 11), every other one reach it or be 0. ``-- permit 35`` is the permit's
minimum, ``-- adds SELECT key, person, sum(abs(...)) ...`` what each person adds to a sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attack_attempts import Case, SmallGroups

FOLDER = Path(__file__).parent / "cases"


def refused() -> tuple[Case, ...]:
    """Return the statements that must be refused."""
    return (*(_case(*block) for block in _blocks("refused")), *_syntax())


def to_peers() -> tuple[Case, ...]:
    """Return the statements whose rows must not go to another node."""
    return tuple(_case(*block) for block in _blocks("peer"))


def over_received() -> tuple[Case, ...]:
    """Return the statements over a table from another node (``x1``) that must not answer the coordinator."""
    return tuple(_case(*block) for block in _blocks("received"))


def failures() -> tuple[Case, ...]:
    """Return the statements that fail at the engine for some rows."""
    return tuple(_case(*block) for block in _blocks("failures"))


def small() -> tuple[SmallGroups, ...]:
    """Return the statements that may run and must show no small group."""
    return (*(_small(*block) for block in _blocks("small")), *_small_aggregates(), *_small_contributors())


def masked() -> tuple[SmallGroups, ...]:
    """Return the statements that hide one person's part under others' known ones."""
    return tuple(_small(*block) for block in _blocks("masked"))


def _blocks(kind: str) -> Iterator[tuple[str, str]]:
    for path in sorted((FOLDER / kind).glob("*.sql")):
        for block in path.read_text(encoding="utf-8").strip().split("\n\n")[1:]:
            yield path.stem, block


def _header(block: str) -> tuple[str, str, dict[str, str], str]:
    """Return identifier, goal, settings and the rest of a block."""
    lines = block.splitlines()
    identifier, _, goal = lines[0].removeprefix("-- ").partition(": ")
    settings = {}
    number = 1
    while lines[number].startswith("-- "):
        name, _, value = lines[number].removeprefix("-- ").partition(" ")
        settings[name] = value
        number += 1
    return identifier, goal, settings, "\n".join(lines[number:])


def _case(family: str, block: str) -> Case:
    identifier, goal, settings, sql = _header(block)
    code, _, rule = settings.get("refused", "*").partition(" ")
    return Case(id=identifier, family=family, goal=goal, sql=sql, code=code, rule=rule, inputs=_inputs(settings))


def _small(family: str, block: str) -> SmallGroups:
    identifier, goal, settings, text = _header(block)
    sql, _, oracle = text.partition("\n-- oracle\n")
    return SmallGroups(
        id=identifier,
        family=family,
        goal=goal,
        sql=sql,
        oracle=oracle,
        keys=int(settings["keys"]),
        min_persons=int(settings.get("persons", "11")),
        permit_min_persons=int(settings.get("permit", "11")),
        inputs=_inputs(settings),
        adds=(settings["adds"],) if "adds" in settings else (),
    )


def _inputs(settings: dict[str, str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in settings.get("inputs", "").split(",") if name.strip())


def _small_aggregates() -> Iterator[SmallGroups]:
    """Every aggregate that may leave, over groups of which two are below the threshold."""
    aggregates = (
        *("count(*)", "count(days)", "count(DISTINCT person)", "count(DISTINCT birth)", "count_if(days > 0)"),
        *("sum(cost)", "fsum(score + 1)", "avg(days)", "favg(score + 1)", "var_pop(days)", "var_samp(days)"),
        *("variance(days)", "stddev(days)", "stddev_pop(days)", "stddev_samp(days)", "mean(days)"),
        *("covar_pop(cost, days)", "covar_samp(cost, days)", "corr(cost, days)", "regr_count(cost, days)"),
        *("regr_avgx(cost, days)", "regr_avgy(cost, days)", "regr_sxx(cost, days)", "regr_syy(cost, days)"),
        *("regr_sxy(cost, days)", "regr_slope(cost, days)", "regr_intercept(cost, days)", "regr_r2(cost, days)"),
    )
    for aggregate in aggregates:
        yield SmallGroups(
            id=f"small-{_named(aggregate)}",
            family="small-aggregates",
            goal="an aggregate of a group below the threshold",
            sql=_BY_REGION.replace("AGGREGATE", aggregate),
            oracle="SELECT region, count(DISTINCT person) FROM stays GROUP BY region",
            keys=1,
            **_added(aggregate),
        )


_ONE_VALUE = ("var_", "variance", "stddev")
_MOMENTS = ("covar", "corr", "regr_s", "regr_i", "regr_r2")


def _added(aggregate: str) -> dict[str, Any]:
    """Return what persons add to an aggregate over stays, and how many persons its degrees of freedom ask for."""
    name, _, rest = aggregate.partition("(")
    if name in {"count", "count_if", "regr_count"}:
        return {}
    degrees = 11 if name.startswith(_ONE_VALUE) else 12 if name.startswith(_MOMENTS) else 0
    values = rest.removesuffix(")").split(", ")
    statement = "SELECT region, person, sum(abs(CAST(VALUE AS DOUBLE))) FROM stays GROUP BY ALL"
    return {"adds": tuple(statement.replace("VALUE", value) for value in values), "degrees": degrees}


def _small_contributors() -> Iterator[SmallGroups]:
    """One person's part in the largest region, who alone has stayed 366 days."""
    parts = {
        "count-filter": "count(*) FILTER (WHERE days = 366)",
        "sum-filter": "sum(cost) FILTER (WHERE days = 366)",
        "avg-filter": "avg(cost) FILTER (WHERE diagnosis = 'RARE-Z99')",
        "count-distinct-person-filter": "count(DISTINCT person) FILTER (WHERE days = 366)",
        "sum-case": "sum(CASE WHEN days = 366 THEN cost END)",
        "sum-case-else-null": "sum(CASE WHEN days <> 366 THEN NULL ELSE cost END)",
        "sum-case-zero": "sum(CASE WHEN days = 366 THEN cost ELSE 0 END)",
        "sum-if": "sum(if(days = 366, cost, NULL))",
        "sum-if-zero": "sum(if(days = 366, cost, 0))",
        "sum-nullif": "sum(nullif(days // 366, 0))",
        "sum-boolean": "sum(cost * CAST(days = 366 AS INTEGER))",
        "sum-boolean-only": "sum(CAST(days = 366 AS INTEGER))",
        "sum-arithmetic": "sum(cost * (days // 366))",
        "sum-greatest": "sum(greatest(days, 365) - 365)",
        "sum-power": "sum(power(0, abs(days - 366)) * cost)",
        "avg-case": "avg(CASE WHEN days = 366 THEN cost END)",
        "avg-case-zero": "avg(CASE WHEN days = 366 THEN cost ELSE 0 END)",
        "count-case": "count(CASE WHEN days = 366 THEN 1 END)",
        "count-if": "count_if(days = 366)",
        "count-distinct-case": "count(DISTINCT CASE WHEN days = 366 THEN cost END)",
        "var-case": "var_pop(CASE WHEN days = 366 THEN cost ELSE 0 END)",
        "stddev-case": "stddev_samp(CASE WHEN days = 366 THEN cost END)",
        "regr-case": "regr_avgy(CASE WHEN days = 366 THEN cost END, score)",
        "regr-case-x": "regr_avgx(score, CASE WHEN days = 366 THEN cost END)",
        "regr-count-case": "regr_count(cost, CASE WHEN days = 366 THEN 1 END)",
        "regr-slope-indicator": "regr_slope(cost, CASE WHEN days = 366 THEN 1 ELSE 0 END)",
        "covar-indicator": "covar_pop(cost, CASE WHEN days = 366 THEN 1 ELSE 0 END)",
        "corr-indicator": "corr(cost, CASE WHEN days = 366 THEN 1 ELSE 0 END)",
        "regr-sxy-indicator": "regr_sxy(cost, CAST(days = 366 AS INTEGER))",
        "try-cast": "count(TRY_CAST(replace(diagnosis, 'RARE-Z', '') AS INTEGER))",
        "coalesce": "count(coalesce(CASE WHEN days = 366 THEN 1 END, NULL))",
        "sum-list": "sum(list_sum([CASE WHEN days = 366 THEN 1 END]))",
    }
    for name, aggregate in parts.items():
        yield SmallGroups(
            id=f"part-{name}",
            family="small-contributors",
            goal="one person's part in a large group",
            sql=_BY_REGION.replace("AGGREGATE", aggregate),
            oracle="SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) "
            "FROM stays GROUP BY region",
            keys=1,
            degrees=_added(aggregate).get("degrees", 0),
        )


_BY_REGION = "SELECT region, AGGREGATE AS x FROM stays GROUP BY region"


def _named(aggregate: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in aggregate.replace("*", "rows")).strip("-").replace("--", "-")


def _joined(number: int) -> str:
    return "JOIN stays aN ON a0.person = aN.person".replace("aN", f"a{number}")


def _chained(number: int) -> str:
    source = f"c{number - 1}" if number else "stays"
    return "NAME AS (SELECT person FROM SOURCE)".replace("NAME", f"c{number}").replace("SOURCE", source)


def _syntax() -> Iterator[Case]:
    """Texts that two parsers may read differently, or that a parser does not survive."""
    deep = 20_000
    texts = {
        "two": ("a second statement", "SELECT 1; SELECT * FROM stays"),
        "two-drop": ("a second statement", "SELECT count(*) FROM stays; DROP VIEW stays;"),
        "comment": ("hide the second statement", "SELECT 1 /* */; -- \nSELECT person FROM stays"),
        "line-comment": ("a comment that ends early", "SELECT 1 --\r, person\nFROM stays; COPY stays TO 'x'"),
        "empty": ("nothing", ""),
        "only-comment": ("nothing", "/* SELECT */ -- x"),
        "nul": ("cut the text at NUL", "SELECT region, count(*) FROM stays\x00; SELECT * FROM stays"),
        "nul-in-literal": ("cut the text at NUL", "SELECT count(*) FROM stays WHERE region = 'a\x00b'"),
        "nul-in-name": ("cut a name at NUL", 'SELECT count(*) FROM "stays\x00x"'),
        "quoted-semicolon": ("break out of a name", 'SELECT count(*) AS "a"";DROP VIEW stays;--" FROM "stays;x"'),
        "dollar-quote": ("hide a statement", "SELECT $$ x $$ ; SELECT $a$ ; $a$"),
        "escape-string": (
            "break out of a literal",
            r"SELECT count(*) FROM stays WHERE region = 'a\'; SELECT person FROM stays --'",
        ),
        "homoglyph-table": ("a table that looks allowed", "SELECT count(*) FROM st\u0430ys"),
        "homoglyph-column": ("a column that looks allowed", "SELECT r\u0435gion, count(*) FROM stays GROUP BY 1"),
        "zero-width": ("a name apart", "SELECT per\u200bson FROM stays"),
        "full-width": ("full-width letters", "SELECT \uff50\uff45\uff52\uff53\uff4f\uff4e FROM stays"),
        "dotless-i": ("folded otherwise", 'SELECT "d\u0131agnosis", count(*) FROM stays GROUP BY 1'),
        "long-s": ("folded otherwise", 'SELECT count(*) FROM "\u017ftays"'),
        "kelvin": ("folded otherwise", 'SELECT "\u212aey" FROM stays'),
        "nbsp": ("blanks that are none", "SELECT\u00a0person\u00a0FROM\u00a0stays"),
        "bom": ("bytes before the text", "\ufeffSELECT person FROM stays"),
        "right-to-left": ("text that reads otherwise", "SELECT count(*) FROM stays \u202e; SELECT person FROM stays"),
        "smart-quote": ("quotes that are none", "SELECT \u2018x\u2019, person FROM stays"),
        "lone-surrogate-name": ("a name that cannot be encoded", 'SELECT count(*) FROM "\ud800"'),
        "parameter": ("a value that nobody checked", "SELECT count(*) FROM stays WHERE region = ?"),
        "named-parameter": ("a value that nobody checked", "SELECT count(*) FROM stays WHERE region = $x"),
        "colon-parameter": ("a value that nobody checked", "SELECT count(*) FROM stays WHERE region = :x"),
        "variable": ("a session variable", "SELECT @x, @@version"),
        "schema": ("past the names", "SELECT region, count(*) FROM main.stays GROUP BY 1"),
        "catalogue": ("past the names", "SELECT region, count(*) FROM memory.main.stays GROUP BY 1"),
        "temp-schema": ("past the names", "SELECT * FROM temp.stays"),
        "qualified-function": ("past the functions", "SELECT main.read_text('/etc/passwd')"),
        "quoted-function": ("past the functions", "SELECT \"getenv\"('HOME')"),
        "function-method": ("past the functions", "SELECT 'HOME'.getenv()"),
        "long": ("exhaust the parser", "SELECT " + "1, " * 600_000 + "1"),
        "deep-parentheses": ("crash the parser", "SELECT " + "(" * deep + "1" + ")" * deep),
        "deep-not": ("crash the parser", "SELECT " + "NOT " * deep + "TRUE"),
        "deep-minus": ("crash the parser", "SELECT " + "- " * deep + "1"),
        "deep-case": ("crash the parser", "SELECT " + "CASE WHEN 1=1 THEN " * 500 + "1" + " END" * 500),
        "deep-lists": ("crash the parser", "SELECT " + "[" * 5_000 + "1" + "]" * 5_000),
        "deep-subscripts": ("exhaust the parser", "SELECT x" + "[1]" * 5_000 + " FROM stays"),
        "deep-subqueries": ("crash the walker", "SELECT * FROM " + "(SELECT * FROM " * 300 + "stays" + ") t" * 300),
        "many-casts": ("exhaust the parser", "SELECT person" + "::VARCHAR" * 5_000 + " FROM stays"),
        "many-or": ("exhaust the walker", "SELECT count(*) FROM stays WHERE person = 'x'" + " OR person = 'x'" * 1_000),
        "many-and": ("exhaust the walker", "SELECT count(*) FROM stays WHERE days = 1" + " AND person = 'x'" * 1_000),
        "many-plus": ("exhaust the walker", "SELECT sum(length(person)" + " + 1" * 1_000 + ") FROM stays"),
        "many-unions": ("exhaust the walker", "SELECT person FROM stays" + " UNION ALL SELECT person FROM stays" * 300),
        "many-joins": (
            "exhaust the walker",
            " ".join(["SELECT a0.person FROM stays a0", *(_joined(i) for i in range(1, 150))]),
        ),
        "many-ctes": (
            "exhaust the walker",
            "WITH CTES SELECT person FROM c149".replace("CTES", ", ".join(_chained(i) for i in range(150))),
        ),
        "mysql-quotes": ("another dialect's names", "SELECT `person` FROM `stays`"),
        "tsql-top": ("another dialect's LIMIT", "SELECT TOP 1 person FROM stays"),
        "jinja": ("a template", "SELECT {{ person }} FROM stays"),
        "hint": ("a hint", "SELECT /*+ X(stays) */ person FROM stays"),
        "into": ("write by SELECT", "SELECT * INTO stolen FROM stays"),
        "arrow": ("an error of the parser's own", "SELECT c(-> d) FROM stays"),
        "arrow-in-group": ("an error of the parser's own", "SELECT count(*) FROM stays GROUP BY year, x -> , region"),
        "for-update": ("lock rows", "SELECT region, count(*) FROM regions GROUP BY 1 FOR UPDATE"),
    }
    for name, (goal, sql) in texts.items():
        yield Case(id=f"syntax-{name}", family="syntax", goal=goal, sql=sql, code="*")
