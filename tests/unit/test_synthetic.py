"""The made-up world: same bytes for a seed, keys that join, patients at several holders, faults as in reality."""

# ruff: noqa: S608 - what stands in the SQL by formatting are names of tables and columns in this file

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from archipel import errors, synthetic
from archipel.demo.oracle import Oracle, shards_of
from archipel.demo.questions import QUESTIONS
from archipel.synthetic import people, world
from archipel.synthetic.catalogue.illnesses import RARE_DISEASES
from archipel.synthetic.tables import CNAM, HOSPITAL, JOIN_KEY, REFERENCE, SPECS, TableSpec

PERSONS, HOSPITALS, SEED = 3_000, 3, 11
FOLDERS = ("hospital_a", "hospital_b", "hospital_c")
KEY = ", ".join(JOIN_KEY)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> synthetic.World:
    """A small world, drawn in several blocks as a large one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "PERSONS_PER_BLOCK", 1_000)
        return synthetic.generate(tmp_path_factory.mktemp("made"), persons=PERSONS, hospitals=HOSPITALS, seed=SEED)


@pytest.fixture(scope="module")
def pooled(made: synthetic.World) -> Iterator[Oracle]:
    """One DuckDB over all holders' tables, with ``_node``."""
    database = Oracle(shards_of(made.directory), threads=1)
    yield database
    database.close()


def rows(database: Oracle, sql: str) -> list[tuple[Any, ...]]:
    """Return the answer's rows."""
    answer = database.query(sql)
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def one(database: Oracle, sql: str) -> Any:
    """Return the answer's only value."""
    [[value]] = rows(database, sql)
    return value


def digests(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every file by its relative name."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def generate_elsewhere(directory: Path, hash_seed: str, seed: int = SEED) -> dict[str, str]:
    """Generate in a fresh interpreter with its own order of sets."""
    script = (
        "import pathlib, sys; from archipel import synthetic;"
        "synthetic.generate(pathlib.Path(sys.argv[1]), persons=400, hospitals=2, seed=int(sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", script, str(directory), str(seed)], env=environment, check=True, timeout=60)
    return digests(directory)


def test_the_same_seed_gives_the_same_bytes_whatever_the_process(tmp_path: Path) -> None:
    first = generate_elsewhere(tmp_path / "one", "1")
    second = generate_elsewhere(tmp_path / "two", "2")
    assert len(first) == 1 + 6 + 2 * 12 + 4
    assert first == second


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    for seed in (1, 2):
        synthetic.generate(tmp_path / str(seed), persons=400, hospitals=1, seed=seed)
    first, second = digests(tmp_path / "1"), digests(tmp_path / "2")
    same = {name for name, digest in first.items() if second[name] == digest}
    assert same == {f"reference/{name}.parquet" for name in ("departement", "hospitals", "IR_PHA_R", "concept")}


def test_the_world_file_describes_every_table_and_column(made: synthetic.World) -> None:
    described = json.loads((made.directory / "WORLD.json").read_text(encoding="utf-8"))
    assert (described["persons"], described["hospitals"], described["seed"]) == (PERSONS, HOSPITALS, SEED)
    for path in made.directory.glob("*/*.parquet"):
        table = described["tables"][path.stem]
        relation = duckdb.connect().read_parquet(str(path))
        assert list(table["columns"]) == relation.columns
        assert all(table["columns"].values())
        assert table["reference"] is (path.parent.name == REFERENCE)
        assert (table["person_column"] is None) is table["reference"]
        keys = {column for columns in table["site_keys"].values() for column in columns}
        assert keys <= set(relation.columns)
        assert table["person_column"] in (None, *relation.columns)


def test_what_is_returned_is_what_lies_in_the_files(made: synthetic.World) -> None:
    for file in made.files:
        path = made.directory / file.folder / f"{file.table}.parquet"
        assert path.stat().st_size == file.bytes
        assert duckdb.connect().read_parquet(str(path)).count("*").fetchall() == [(file.rows,)]
        assert file.rows > 0


def expected_types(spec: TableSpec) -> list[str]:
    """Return the spec's column types in DuckDB's spelling."""
    spelled = {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "date32[day]": "DATE",
        "double": "DOUBLE",
        "decimal128(9, 2)": "DECIMAL(9,2)",
    }
    return [spelled[str(column.type)] for column in spec.columns]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec.name))
def test_the_engine_sees_the_declared_types(made: synthetic.World, spec: TableSpec) -> None:
    folders = {CNAM: ("cnam",), HOSPITAL: FOLDERS, REFERENCE: ("reference",)}[spec.holder]
    for folder in folders:
        relation = duckdb.connect().read_parquet(str(made.directory / folder / f"{spec.name}.parquet"))
        assert relation.columns == [column.name for column in spec.columns]
        assert [str(kind) for kind in relation.types] == expected_types(spec)


# The insurer


@pytest.mark.parametrize("table", ["ER_PHA_F", "ER_CAM_F"])
def test_each_refining_row_joins_exactly_one_service_by_nine_columns(pooled: Oracle, table: str) -> None:
    total = one(pooled, f"SELECT count(*) FROM {table}")
    joined = one(
        pooled,
        f"SELECT count(*) FROM {table} f JOIN ER_PRS_F p USING ({KEY}) WHERE p.BEN_IDT_ANO = f.BEN_IDT_ANO",
    )
    assert total == joined > 100


def test_the_nine_columns_are_a_key_and_fewer_are_not(pooled: Oracle) -> None:
    def distinct(columns: tuple[str, ...]) -> int:
        return int(one(pooled, f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(columns)} FROM ER_PRS_F)"))

    total = one(pooled, "SELECT count(*) FROM ER_PRS_F")
    assert distinct(JOIN_KEY) == total
    for column in ("FLX_EMT_ORD", "ORG_CLE_NUM", "DCT_ORD_NUM", "PRS_ORD_NUM"):
        assert distinct(tuple(name for name in JOIN_KEY if name != column)) < total


def test_every_claim_is_of_a_known_person_who_lived_then(pooled: Oracle) -> None:
    strangers = one(
        pooled,
        "SELECT count(*) FROM ER_PRS_F p LEFT JOIN IR_BEN_R b USING (BEN_NIR_PSA, BEN_RNG_GEM)"
        " WHERE b.BEN_IDT_ANO IS DISTINCT FROM p.BEN_IDT_ANO",
    )
    after_death = one(
        pooled,
        "SELECT count(*) FROM ER_PRS_F p JOIN IR_BEN_R b USING (BEN_NIR_PSA)"
        " WHERE b.BEN_DCD_DTE > DATE '1601-01-01' AND p.EXE_SOI_DTD >= b.BEN_DCD_DTE",
    )
    assert strangers == after_death == 0


def test_a_person_may_have_two_numbers_and_still_counts_once(pooled: Oracle) -> None:
    [(beneficiaries, persons, numbers)] = rows(
        pooled, "SELECT count(*), count(DISTINCT BEN_IDT_ANO), count(DISTINCT BEN_NIR_PSA) FROM IR_BEN_R"
    )
    assert persons == PERSONS
    assert beneficiaries == numbers > PERSONS


def test_costs_are_exact_decimals_that_add_up(pooled: Oracle) -> None:
    [(wrong, lowest, highest)] = rows(
        pooled,
        "SELECT count(*) FILTER (WHERE PRS_PAI_MNT <> BSE_REM_BSE + PRS_DEP_MNT"
        " OR abs(BSE_REM_MNT) > abs(BSE_REM_BSE)), min(PRS_PAI_MNT), max(PRS_PAI_MNT) FROM ER_PRS_F",
    )
    assert wrong == 0
    assert lowest < 0 < highest


def test_the_long_term_ill_cost_more(pooled: Oracle) -> None:
    costs = dict(
        rows(
            pooled,
            "WITH ald AS (SELECT DISTINCT BEN_IDT_ANO FROM IR_IMB_R WHERE IMB_ETM_NAT IN (41, 43, 45))"
            " SELECT a.BEN_IDT_ANO IS NOT NULL, sum(p.BSE_REM_MNT) / count(DISTINCT p.BEN_IDT_ANO)"
            " FROM ER_PRS_F p LEFT JOIN ald a USING (BEN_IDT_ANO) WHERE p.DPN_QLF <> 71 GROUP BY 1",
        )
    )
    assert costs[True] > 2 * costs[False]


def test_chronic_drugs_are_refilled_and_diabetics_take_them(pooled: Oracle) -> None:
    users = rows(
        pooled,
        "SELECT p.BEN_IDT_ANO, count(DISTINCT p.EXE_SOI_DTD) AS refills,"
        " bool_or(p.BEN_IDT_ANO IN (SELECT BEN_IDT_ANO FROM IR_IMB_R WHERE IMB_ALD_NUM = 8)) AS diabetic"
        f" FROM ER_PRS_F p JOIN ER_PHA_F f USING ({KEY}) JOIN IR_PHA_R r ON r.PHA_CIP_C13 = f.PHA_PRS_C13"
        " WHERE r.PHA_ATC_CLA = 'A10BA02' GROUP BY 1",
    )
    assert sum(diabetic for _, _, diabetic in users) > 0.7 * len(users)
    assert sum(refills for _, refills, _ in users) > 6 * len(users)


# Faults, as in reality


@pytest.mark.parametrize(
    "fault",
    [
        "FROM ER_PRS_F WHERE DPN_QLF = 71",
        "FROM ER_PHA_F WHERE PHA_ACT_QSN < 0",
        "FROM ER_PHA_F WHERE PHA_PRS_C13 IS NULL",
        "FROM ER_PHA_F f ANTI JOIN IR_PHA_R r ON r.PHA_CIP_C13 = f.PHA_PRS_C13 WHERE f.PHA_PRS_C13 IS NOT NULL",
        "FROM ER_PRS_F WHERE PRE_PRE_DTD IS NULL AND PRS_NAT_REF = 3313",
        "FROM IR_BEN_R WHERE BEN_DCD_DTE = DATE '1600-01-01'",
        "FROM IR_BEN_R WHERE BEN_RES_DPT = '999'",
        "FROM IR_IMB_R WHERE MED_MTF_COD IS NULL",
        "FROM IR_IMB_R WHERE IMB_ETM_NAT NOT IN (41, 43, 45)",
        "FROM (SELECT * FROM IR_IMB_R GROUP BY ALL HAVING count(*) > 1)",
        "FROM T_MCOaaB WHERE GRG_GHM LIKE '90%'",
        "FROM T_MCOaaB WHERE SEJ_NBJ IS NULL",
        "FROM T_MCOaaC WHERE NIR_RET <> '0'",
        "FROM T_MCOaaC WHERE DAT_RET <> '0' AND ENT_DAT IS NULL",
        "FROM (SELECT * FROM T_MCOaaA GROUP BY ALL HAVING count(*) > 1)",
        "FROM measurement WHERE value_as_number IS NULL",
        "FROM (SELECT person_id, measurement_concept_id, visit_occurrence_id FROM measurement"
        " GROUP BY ALL HAVING count(*) > 1)",
    ],
)
def test_rows_are_as_faulty_as_in_reality(pooled: Oracle, fault: str) -> None:
    assert one(pooled, f"SELECT count(*) {fault}") > 0


def test_a_cancelled_box_is_a_service_in_the_negative_a_month_later(pooled: Oracle) -> None:
    pairs = rows(
        pooled,
        "SELECT c.FLX_DIS_DTD > p.FLX_DIS_DTD AND c.PRS_PAI_MNT = -p.PRS_PAI_MNT"
        " FROM ER_PRS_F c JOIN ER_PRS_F p ON p.BEN_IDT_ANO = c.BEN_IDT_ANO AND p.EXE_SOI_DTD = c.EXE_SOI_DTD"
        " AND p.DCT_ORD_NUM = c.DCT_ORD_NUM AND p.PRS_ORD_NUM = c.PRS_ORD_NUM AND p.FLX_EMT_ORD < 5000"
        " WHERE c.PRS_ACT_QTE < 0",
    )
    assert len(pairs) > 20
    assert all(corrected for (corrected,) in pairs)


# Hospitals


def test_hospitals_patients_are_known_to_the_insurer(pooled: Oracle) -> None:
    [(stays, known)] = rows(
        pooled,
        "SELECT count(*), count(*) FILTER (WHERE NIR_ANO_17 IN (SELECT BEN_NIR_PSA FROM IR_BEN_R))"
        " FROM T_MCOaaC WHERE NIR_RET = '0'",
    )
    assert stays == known > 1000


def test_some_patients_are_at_several_hospitals(pooled: Oracle) -> None:
    [(patients, several)] = rows(
        pooled,
        "SELECT count(*), count(*) FILTER (WHERE nodes > 1) FROM (SELECT NIR_ANO_17, count(DISTINCT _node) AS nodes"
        " FROM T_MCOaaC WHERE NIR_RET = '0' GROUP BY 1)",
    )
    assert 0.02 * patients < several < 0.5 * patients
    assert 0.1 * PERSONS < patients < 0.6 * PERSONS


def test_a_hospitals_file_names_only_its_own_patients(made: synthetic.World) -> None:
    """Dictionary pages too: a pseudonym that occurs in no row must not be in the file."""
    import pyarrow.parquet as pq

    for folder, table, column in (
        ("hospital_a", "T_MCOaaB", "NIR_ANO_17"),
        ("hospital_a", "person", "person_source_value"),
    ):
        path = made.directory / folder / f"{table}.parquet"
        read = pq.ParquetFile(path, read_dictionary=[column])
        named = {
            word
            for group in range(read.num_row_groups)
            for chunk in read.read_row_group(group, columns=[column])[column].chunks
            for word in chunk.dictionary.to_pylist()
        }
        occurring = set(pq.read_table(path, columns=[column])[column].to_pylist())
        assert named == occurring


@pytest.mark.parametrize("disease", [disease.code for disease in RARE_DISEASES])
def test_a_rare_disease_has_fewer_than_eleven_patients_at_every_hospital(pooled: Oracle, disease: str) -> None:
    counts = rows(
        pooled,
        f"SELECT _node, count(DISTINCT NIR_ANO_17) FROM T_MCOaaB WHERE DGN_PAL = '{disease}' GROUP BY 1",
    )
    assert {node for node, _ in counts} == set(FOLDERS)
    assert all(count < 11 for _, count in counts)
    assert sum(count for _, count in counts) >= 11
    status = one(pooled, f"SELECT count(DISTINCT BEN_IDT_ANO) FROM IR_IMB_R WHERE MED_MTF_COD = '{disease}'")
    assert status >= 11


@pytest.mark.parametrize(("persons", "hospitals"), [(200, 26), (1_000, 26), (200, 1), (1_000_000, 26)])
def test_rare_patients_are_few_at_any_size(persons: int, hospitals: int) -> None:
    plan = people.plan_world(persons, hospitals, SEED)
    sites = list(zip(plan.rare_hospital.tolist(), plan.rare_disease.tolist(), strict=True))
    counts = {site: sites.count(site) for site in set(sites)}
    assert len(counts) == hospitals * len(RARE_DISEASES)
    assert max(counts.values()) <= people.RARE_HIGHEST < 11
    assert len(set(plan.rare_person.tolist())) == len(sites)


@pytest.mark.parametrize("table", ["T_MCOaaC", "T_MCOaaD", "T_MCOaaA", "T_MCOaaUM"])
def test_every_pmsi_row_belongs_to_one_stay_of_the_same_patient(pooled: Oracle, table: str) -> None:
    [(total, joined)] = rows(
        pooled,
        f"SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM {table} t JOIN T_MCOaaB b"
        " USING (ETA_NUM, RSA_NUM) WHERE b.NIR_ANO_17 = t.NIR_ANO_17)",
    )
    assert total == joined > 0


def test_a_stays_numbers_agree_with_its_rows(pooled: Oracle) -> None:
    wrong = one(
        pooled,
        "SELECT count(*) FROM T_MCOaaB b JOIN T_MCOaaC c USING (ETA_NUM, RSA_NUM)"
        " WHERE b.SEJ_NBJ IS NOT NULL AND c.ENT_DAT IS NOT NULL AND b.SEJ_NBJ <> c.SOR_DAT - c.ENT_DAT"
        " OR b.SOR_ANN <> CAST(year(c.SOR_DAT) AS VARCHAR) OR b.SOR_ANN NOT BETWEEN '2021' AND '2023'"
        " OR (b.AGE_ANN IS NULL) <> (b.AGE_JOU IS NOT NULL)",
    )
    units = one(
        pooled,
        "SELECT count(*) FROM (SELECT ETA_NUM, RSA_NUM, count(*) AS units, sum(PAR_DUR_SEJ) AS days"
        " FROM T_MCOaaUM GROUP BY ALL) u JOIN T_MCOaaB b USING (ETA_NUM, RSA_NUM)"
        " WHERE b.NBR_RUM <> u.units OR b.SEJ_NBJ <> u.days",
    )
    assert wrong == units == 0


def test_sex_and_age_fit_the_reason_of_the_stay(pooled: Oracle) -> None:
    misfits = one(
        pooled,
        "SELECT count(*) FROM T_MCOaaB WHERE (DGN_PAL LIKE 'O%' AND (COD_SEX = '1' OR AGE_ANN NOT BETWEEN 10 AND 60))"
        " OR (DGN_PAL = 'C61' AND COD_SEX = '2') OR (DGN_PAL = 'Z380' AND AGE_JOU > 1)",
    )
    assert misfits == 0


def test_respiratory_illness_comes_in_winter(pooled: Oracle) -> None:
    [(winter, summer)] = rows(
        pooled,
        "SELECT count(*) FILTER (WHERE SOR_MOI IN ('12', '01', '02')),"
        " count(*) FILTER (WHERE SOR_MOI IN ('06', '07', '08'))"
        " FROM T_MCOaaB WHERE DGN_PAL BETWEEN 'J' AND 'J999'",
    )
    assert winter > 1.5 * summer > 0


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.site_keys], ids=lambda spec: str(spec.name))
def test_site_keys_never_match_across_hospitals(pooled: Oracle, spec: TableSpec) -> None:
    for columns in spec.site_keys.values():
        key = ", ".join(columns)
        shared = one(
            pooled,
            f"SELECT count(*) FROM (SELECT {key} FROM {spec.name} GROUP BY {key} HAVING count(DISTINCT _node) > 1)",
        )
        assert shared == 0


def test_numbers_of_rows_are_unique(pooled: Oracle) -> None:
    for table, key in (
        ("T_MCOaaB", "ETA_NUM, RSA_NUM"),
        ("T_MCOaaC", "ETA_NUM, RSA_NUM"),
        ("person", "person_id"),
        ("visit_occurrence", "visit_occurrence_id"),
        ("condition_occurrence", "condition_occurrence_id"),
        ("drug_exposure", "drug_exposure_id"),
        ("procedure_occurrence", "procedure_occurrence_id"),
        ("measurement", "measurement_id"),
        ("death", "person_id"),
        ("concept", "concept_id"),
        ("IR_PHA_R", "PHA_CIP_C13"),
        ("departement", "code"),
        ("hospitals", "finess"),
    ):
        [(total, distinct)] = rows(
            pooled,
            f"SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM (SELECT DISTINCT {key} FROM {table}))",
        )
        assert total == distinct, table


@pytest.mark.parametrize(
    "table",
    ["condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "visit_occurrence", "death"],
)
def test_omop_rows_refer_to_persons_and_visits_of_their_hospital(pooled: Oracle, table: str) -> None:
    orphans = one(
        pooled,
        f"SELECT count(*) FROM {table} t LEFT JOIN person p ON p.person_id = t.person_id AND p._node = t._node"
        " WHERE p.person_id IS NULL",
    )
    assert orphans == 0
    if table not in ("visit_occurrence", "death"):
        strays = one(
            pooled,
            f"SELECT count(*) FROM {table} t LEFT JOIN visit_occurrence v"
            " ON v.visit_occurrence_id = t.visit_occurrence_id AND v.person_id = t.person_id AND v._node = t._node"
            " WHERE v.person_id IS NULL",
        )
        assert strays == 0


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("person", "gender_concept_id"),
        ("visit_occurrence", "visit_concept_id"),
        ("visit_occurrence", "visit_type_concept_id"),
        ("condition_occurrence", "condition_concept_id"),
        ("condition_occurrence", "condition_status_concept_id"),
        ("drug_exposure", "drug_concept_id"),
        ("procedure_occurrence", "procedure_concept_id"),
        ("measurement", "measurement_concept_id"),
        ("measurement", "unit_concept_id"),
        ("measurement", "operator_concept_id"),
        ("death", "cause_concept_id"),
    ],
)
def test_every_concept_is_in_the_concept_table(pooled: Oracle, table: str, column: str) -> None:
    unknown = one(
        pooled,
        f"SELECT count(*) FROM {table} t ANTI JOIN concept c ON c.concept_id = t.{column}",
    )
    assert unknown == 0


def test_omop_and_pmsi_tell_of_the_same_stays(pooled: Oracle) -> None:
    [(stays, matched)] = rows(
        pooled,
        "SELECT (SELECT count(*) FROM T_MCOaaB), (SELECT count(*) FROM visit_occurrence v JOIN T_MCOaaC c"
        " ON CAST(c.RSA_NUM AS VARCHAR) = v.visit_source_value AND c._node = v._node"
        " AND c.SOR_DAT = v.visit_end_date)",
    )
    assert stays == matched


def test_people_are_the_same_at_hospital_and_insurer(pooled: Oracle) -> None:
    [(linked, differing)] = rows(
        pooled,
        "SELECT count(*), count(*) FILTER (WHERE p.year_of_birth <> b.BEN_NAI_ANN"
        " OR p.gender_source_value <> CAST(b.BEN_SEX_COD AS VARCHAR))"
        " FROM person p JOIN IR_BEN_R b ON b.BEN_NIR_PSA = p.person_source_value",
    )
    assert linked == one(pooled, "SELECT count(*) FROM person")
    assert differing == 0


def test_glycated_haemoglobin_is_higher_in_diabetics(pooled: Oracle) -> None:
    means = dict(
        rows(
            pooled,
            "SELECT person_id IN (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 201826),"
            " avg(value_as_number) FROM measurement WHERE measurement_concept_id = 3004410 GROUP BY 1",
        )
    )
    assert 6.5 < means[True] < 8.5
    assert 5.2 < means[False] < 6.5


def test_every_question_of_the_demo_has_an_answer(pooled: Oracle) -> None:
    for question in QUESTIONS:
        answer = rows(pooled, question.sql)
        assert answer, question.title
        keys = [row[: question.keys] for row in answer]
        assert question.expect_refusal or len(set(keys)) == len(keys), question.title


def test_readmissions_within_thirty_days_are_as_many_as_in_france(pooled: Oracle) -> None:
    [sql] = [question.sql for question in QUESTIONS if "Readmission" in question.title]
    for _, stays, readmitted, percent in rows(pooled, sql):
        assert stays > readmitted
        assert 5 < percent < 20


# What is refused


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("chapter one")
    with pytest.raises(errors.ArchipelError) as caught:
        synthetic.generate(tmp_path, persons=200, hospitals=1, seed=1)
    assert caught.value.info.code is errors.CONFIG_INVALID
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_world_with_a_strange_file_beside_it_is_left_alone(tmp_path: Path) -> None:
    synthetic.generate(tmp_path, persons=200, hospitals=1, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    before = digests(tmp_path)
    with pytest.raises(errors.ArchipelError):
        synthetic.generate(tmp_path, persons=200, hospitals=1, seed=2)
    assert digests(tmp_path) == before


def test_a_world_is_replaced_whole(tmp_path: Path) -> None:
    synthetic.generate(tmp_path, persons=200, hospitals=3, seed=1)
    synthetic.generate(tmp_path, persons=200, hospitals=1, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["WORLD.json", "cnam", "hospital_a", "reference"]


@pytest.mark.parametrize(("persons", "hospitals", "seed"), [(199, 1, 1), (500, 0, 1), (500, 27, 1), (500, 1, -1)])
def test_numbers_out_of_range_are_refused_and_nothing_is_written(
    tmp_path: Path, persons: int, hospitals: int, seed: int
) -> None:
    target = tmp_path / "new"
    with pytest.raises(errors.ArchipelError) as caught:
        synthetic.generate(target, persons=persons, hospitals=hospitals, seed=seed)
    assert caught.value.info.code is errors.CONFIG_INVALID
    assert not target.exists()


@pytest.mark.parametrize("hospitals", [1, 26])
def test_any_number_of_hospitals_gives_disjoint_shards(tmp_path: Path, hospitals: int) -> None:
    made = synthetic.generate(tmp_path, persons=1_000, hospitals=hospitals, seed=5)
    folders = [path.name for path in sorted(tmp_path.glob("hospital_*"))]
    assert len(folders) == hospitals
    assert all(file.rows for file in made.files if file.table in ("T_MCOaaB", "person", "measurement"))
    seen: dict[str, set[Any]] = {}
    for folder in folders:
        relation = duckdb.connect().read_parquet(str(tmp_path / folder / "person.parquet"))
        seen[folder] = {row[0] for row in relation.project("person_id").fetchall()}
    for left, right in itertools.combinations(seen.values(), 2):
        assert not left & right
