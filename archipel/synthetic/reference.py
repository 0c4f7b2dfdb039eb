"""Writes the public tables that every node may hold: departements, hospitals, drugs, OMOP concepts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from archipel.synthetic import tables
from archipel.synthetic.arrays import cents
from archipel.synthetic.catalogue.care import ACTS, MEASURES, act_concept_of
from archipel.synthetic.catalogue.diagnoses import CODES, DIAGNOSES, LOCAL_CONDITION, concept_of
from archipel.synthetic.catalogue.drugs import (
    ATC_CLASSES,
    BOXES,
    LOCAL_DRUG,
    SUBSTANCE_INDEX,
    SUBSTANCES,
    drug_concept_of,
)
from archipel.synthetic.catalogue.places import DEPARTEMENTS, HOSPITALS
from archipel.synthetic.tables import TableSpec


def reference_tables(hospitals: int) -> dict[str, pa.Table]:
    """Return the reference tables of a world with that many hospitals."""
    return {
        "departement": _rows(tables.DEPARTEMENT, [(d.code, d.name, d.region, d.population) for d in DEPARTEMENTS]),
        "hospitals": _hospitals(hospitals),
        "IR_PHA_R": _drugs(),
        "concept": _concepts(),
    }


def _rows(spec: TableSpec, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table(
        [pa.array(values, column.type) for column, values in zip(spec.columns, columns, strict=True)],
        names=[column.name for column in spec.columns],
    )


def _hospitals(count: int) -> pa.Table:
    regions = {d.code: d.region for d in DEPARTEMENTS}
    rows = [
        (h.finess, h.name, h.town, h.departement, regions[h.departement], position + 1, h.folder)
        for position, h in enumerate(HOSPITALS[:count])
    ]
    return _rows(tables.HOSPITALS, rows)


def _drugs() -> pa.Table:
    rows = []
    for box in BOXES:
        substance = SUBSTANCES[SUBSTANCE_INDEX[box.substance]]
        group = substance.atc[:3]
        name = f"{substance.name} {box.strength} {box.form} {box.units}"
        rows.append(
            (
                box.cip,
                substance.atc,
                substance.name,
                group,
                ATC_CLASSES[group],
                name,
                substance.name,
                box.form,
                box.strength,
                box.units,
                None,
                box.rate,
            )
        )
    made = _rows(tables.IR_PHA_R, rows)
    position = made.schema.get_field_index("PHA_PRI_UNI")
    return made.set_column(position, "PHA_PRI_UNI", cents(np.array([box.price_cents for box in BOXES])))


_FIXED_CONCEPTS = (
    (0, "No matching concept", "Metadata", "None", "Undefined", None, "No matching concept"),
    (8507, "MALE", "Gender", "Gender", "Gender", "S", "M"),
    (8532, "FEMALE", "Gender", "Gender", "Gender", "S", "F"),
    (9201, "Inpatient Visit", "Visit", "Visit", "Visit", "S", "IP"),
    (9202, "Outpatient Visit", "Visit", "Visit", "Visit", "S", "OP"),
    (9203, "Emergency Room Visit", "Visit", "Visit", "Visit", "S", "ER"),
    (32817, "EHR", "Type Concept", "Type Concept", "Type Concept", "S", "OMOP4976890"),
    (32902, "Primary diagnosis", "Condition Status", "Condition Status", "Condition Status", "S", "OMOP4976975"),
    (32908, "Secondary diagnosis", "Condition Status", "Condition Status", "Condition Status", "S", "OMOP4976981"),
    (4172703, "=", "Meas Value Operator", "SNOMED", "Qualifier Value", "S", "276136004"),
)


def _concepts() -> pa.Table:
    """Every concept that the OMOP tables name, in the order of its id; standard ids carry the French label here."""
    found: dict[int, tuple[Any, ...]] = {row[0]: row for row in _FIXED_CONCEPTS}
    for code in CODES:
        concept = concept_of(code)
        vocabulary = "CIM10FR (local)" if concept >= LOCAL_CONDITION else "SNOMED"
        row = (concept, DIAGNOSES[code][0], "Condition", vocabulary, "Clinical Finding", "S", code)
        found.setdefault(concept, row)
    for substance in SUBSTANCES:
        concept = drug_concept_of(substance.key)
        vocabulary = "ATC (local)" if concept >= LOCAL_DRUG else "RxNorm"
        found[concept] = (concept, substance.name.lower(), "Drug", vocabulary, "Ingredient", "S", substance.atc)
    for position, act in enumerate(ACTS):
        concept = act_concept_of(position)
        found[concept] = (concept, act.label, "Procedure", "CCAM (local)", "Procedure", "S", act.code)
    for measure in MEASURES:
        found[measure.concept] = (measure.concept, measure.name, "Measurement", "LOINC", "Lab Test", "S", measure.loinc)
        unit = (measure.unit_concept, measure.unit, "Unit", "UCUM", "Unit", "S", measure.unit)
        found.setdefault(measure.unit_concept, unit)
    return _rows(tables.CONCEPT, [found[concept] for concept in sorted(found)])
