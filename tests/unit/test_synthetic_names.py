"""Names and codes of the made-up world against the public schemas and code lists, where these are present."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from archipel.synthetic.catalogue import care, diagnoses, drugs
from archipel.synthetic.tables import CNAM, HOSPITAL, SPECS, TableSpec

pytestmark = pytest.mark.shared_data

ADDED = {"BEN_IDT_ANO", "NIR_ANO_17"}
"""Person columns that the project adds where the real table has none; docs/synthetic-data.md says so."""

SNDS = [spec for spec in SPECS if spec.holder == CNAM or spec.name.startswith("T_MCO")]
OMOP = [spec for spec in SPECS if spec.holder == HOSPITAL and not spec.name.startswith("T_MCO")]

NEWER_THAN_THE_LIST = {"U0710"}
"""The list of diagnoses is older than COVID-19."""


def listed(path: Path, column: str) -> set[str]:
    """Return the distinct trimmed texts of a column of a Parquet file."""
    relation = duckdb.connect().read_parquet(str(path)).project(column).distinct()
    return {str(value).strip() for (value,) in relation.fetchall()}


@pytest.mark.parametrize("spec", SNDS, ids=lambda spec: str(spec.name))
def test_snds_columns_are_real_ones(shared_data: Path, spec: TableSpec) -> None:
    schema = json.loads((shared_data / "snds_schema" / "schemas" / f"{spec.name}.json").read_text(encoding="utf-8"))
    real = {field["name"] for field in schema["fields"]}
    assert {column.name for column in spec.columns} - real <= ADDED


@pytest.mark.parametrize("spec", OMOP, ids=lambda spec: str(spec.name))
def test_omop_columns_are_real_ones(shared_data: Path, spec: TableSpec) -> None:
    real = set(duckdb.connect().read_parquet(str(shared_data / "omop_gibleed" / f"{spec.name}.parquet")).columns)
    assert {column.name for column in spec.columns} <= real


@pytest.mark.parametrize(
    ("table", "column", "ours"),
    [
        ("IR_CIM_V", "CIM_COD", set(diagnoses.CODES) - NEWER_THAN_THE_LIST),
        ("IR_CCAM_V63", "CAM_PRS_IDE_COD", {act.code for act in care.ACTS}),
        (
            "IR_NAT_V",
            "PRS_NAT",
            {str(nature) for nature in care.PHARMACY_NATURES.values()}
            | {str(service.nature) for service in care.SERVICES}
            | {str(act.nature) for act in care.ACTS},
        ),
        ("openmedic_ATC2", "*", set(drugs.ATC_CLASSES)),
    ],
)
def test_codes_are_real_ones(shared_data: Path, table: str, column: str, ours: Iterable[str]) -> None:
    path = shared_data / "nomenclatures" / f"{table}.parquet"
    name = duckdb.connect().read_parquet(str(path)).columns[0] if column == "*" else column
    assert set(ours) <= listed(path, name)


def test_standard_concepts_mean_what_they_are_used_for(shared_data: Path) -> None:
    relation = duckdb.connect().read_parquet(str(shared_data / "omop_uon" / "concept.parquet"))
    codes = dict(relation.project("concept_id, concept_code").fetchall())
    measures = {measure.concept: measure.loinc for measure in care.MEASURES}
    found = {concept: code for concept, code in codes.items() if concept in measures}
    assert len(found) >= 6
    assert found == {concept: measures[concept] for concept in found}
