"""Small questions of meaning, answered by planner and oracle alike: which name wins, what order says, odd calls."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import hospital_world
import pytest
from comparing import difference
from planning import Federation, request

from archipel.errors import ArchipelError

QUESTIONS = (
    "SELECT kind, sum(beds) AS beds FROM wards GROUP BY kind HAVING beds > 60",
    "SELECT kind, beds, sum(flags) AS beds FROM wards GROUP BY kind, beds HAVING beds > 20",
    "SELECT -beds AS beds, ward, finess FROM wards ORDER BY beds + 1, ward, finess",
    "SELECT -beds AS beds, ward, finess FROM wards ORDER BY abs(beds), ward, finess",
    "SELECT beds % 2 AS y, count(*) AS n FROM wards GROUP BY y + 1, y",
    "SELECT beds % 2 AS beds, count(*) AS n FROM wards GROUP BY beds",
    "SELECT beds % 2 AS flags, count(*) AS n FROM wards GROUP BY flags",
    "SELECT beds AS b, row_number() OVER (ORDER BY b, ward, finess) AS r FROM wards QUALIFY b > 12",
    "SELECT -beds AS beds, ward FROM wards QUALIFY row_number() OVER (PARTITION BY ward ORDER BY beds) = 1",
    "SELECT flags AS beds, beds AS flags FROM wards WHERE flags > 3 ORDER BY ALL",
    "SELECT flags AS beds, beds + 1 AS x FROM wards ORDER BY ALL",
    "SELECT upper(kind) AS kind, count(*) FROM wards GROUP BY ALL ORDER BY kind",
    "SELECT upper(kind) AS kind, count(*) FROM wards GROUP BY kind ORDER BY kind",
    "SELECT kind AS ward, count(*) AS n FROM wards GROUP BY ward ORDER BY ward",
    "SELECT kind AS ward, count(*) AS n FROM wards GROUP BY 1 ORDER BY ward",
    "SELECT kind AS k, count(*) AS n FROM wards GROUP BY k HAVING k <> 'surgery' ORDER BY n, k",
    "SELECT max(beds) AS beds, min(beds) AS m FROM wards",
    "SELECT sum(beds) AS s, s + 1 AS t FROM wards",
    "SELECT w.beds AS nurses, (SELECT count(*) FROM shifts s WHERE s.nurses = nurses) AS c FROM wards w ORDER BY ALL",
    "SELECT count(*) AS n FROM wards WHERE beds > (SELECT min(beds) FROM shifts)",
    "SELECT ward, count(*) n FROM wards GROUP BY ward HAVING max(n) > 0",
    "SELECT DISTINCT beds % 3 AS beds FROM wards ORDER BY beds",
    "SELECT DISTINCT kind AS ward, count(*) OVER (PARTITION BY kind) AS c FROM wards ORDER BY ward",
    "SELECT t.a AS b, t.b AS a FROM (SELECT beds AS a, flags AS b FROM wards) t ORDER BY a, b",
    "SELECT case when beds > 12 then 'x' end AS k, sum(case when k = 'x' then 1 end) AS n FROM wards GROUP BY k",
    "SELECT year(opened) AS opened, count(*) FROM wards GROUP BY year(opened) ORDER BY opened",
    "SELECT year(opened) AS opened, count(*) FROM wards GROUP BY opened ORDER BY opened, 2",
    "SELECT kind, count(*) AS count FROM wards GROUP BY kind ORDER BY count(*) DESC, kind",
    "SELECT kind, count(*) AS n FROM wards GROUP BY kind ORDER BY sum(beds) DESC",
    "SELECT kind, count(*) AS n FROM wards GROUP BY kind ORDER BY -n, kind DESC",
    "SELECT ward FROM wards GROUP BY ward HAVING count(*) > 4 ORDER BY max(budget) DESC",
    "SELECT a.ward FROM wards a WHERE a.beds = (SELECT max(b.beds) FROM wards b WHERE b.finess = a.finess) ORDER BY 1",
    "SELECT kind, any_value(finess) IS NULL AS x FROM wards GROUP BY kind",
    "SELECT kind, first(finess ORDER BY budget) AS x FROM wards GROUP BY kind",
    "SELECT sum(DISTINCT beds) AS s FROM wards GROUP BY finess ORDER BY s",
    "SELECT avg(DISTINCT beds) AS s FROM wards",
    "SELECT list_sort(list(DISTINCT kind)) AS l FROM wards",
    "SELECT approx_count_distinct(kind) AS n FROM wards",
    "SELECT histogram(kind) AS h FROM wards",
    "SELECT count(*) FROM wards GROUP BY ()",
    "SELECT kind FROM wards GROUP BY kind HAVING kind IS NOT NULL",
    "SELECT count(DISTINCT (finess, ward)) AS n FROM wards",
    "SELECT max(beds, 2) AS l FROM wards",
    "SELECT arg_max(ward, budget, 2) AS l FROM wards",
    "SELECT min_by(ward, (beds, budget)) AS m FROM wards",
    "SELECT kind, count(*) n FROM wards GROUP BY kind UNION ALL SELECT 'all', count(*) FROM wards ORDER BY n, kind",
    "SELECT * FROM (SELECT kind, count(*) n FROM wards GROUP BY kind) WHERE n > 3 ORDER BY kind",
    "FROM wards SELECT kind, count(*) GROUP BY kind",
    "SELECT sum(beds) sum FROM wards WHERE true",
    "SELECT kind FROM wards LIMIT 0",
    "SELECT kind, beds FROM wards ORDER BY beds DESC NULLS LAST, kind, finess, ward LIMIT 3",
    "SELECT ward, beds FROM wards ORDER BY budget LIMIT (SELECT 3)",
    "SELECT ward, beds FROM wards ORDER BY budget LIMIT (SELECT count(*) // 9 FROM shifts)",
    "SELECT kind, grouping(kind) FROM wards GROUP BY kind",
    "SELECT count(DISTINCT w.ward || w.finess) AS n FROM wards w",
)


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation(hospital_world.shards()) as made:
        yield made


@pytest.mark.parametrize("sql", QUESTIONS)
def test_a_question_means_what_it_means_to_the_engine(federation: Federation, sql: str) -> None:
    try:
        expected = federation.oracle(request(sql))
    except duckdb.Error:
        with pytest.raises(ArchipelError):
            federation.plan(request(sql))
        return
    assert difference(federation.ask(request(sql)).table, expected, sql) == ""
