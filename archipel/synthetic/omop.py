"""Writes one hospital's visits as OMOP CDM tables: the stays that PMSI tells of, and outpatient visits beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archipel.synthetic import tables
from archipel.synthetic.arrays import Bools, Floats, Ints, date, number, table, text, used_text
from archipel.synthetic.calendar import DAYS
from archipel.synthetic.catalogue.care import ACTS, MEASURES, Measure, act_concept_of
from archipel.synthetic.catalogue.diagnoses import CODES, concept_of
from archipel.synthetic.catalogue.drugs import SUBSTANCE_INDEX, SUBSTANCES, drug_concept_of
from archipel.synthetic.catalogue.illnesses import ILLNESSES
from archipel.synthetic.people import People
from archipel.synthetic.pmsi import Acts, Secondary
from archipel.synthetic.stays import EMERGENCY, ILLNESS_CODE, KINDS, Stays

INPATIENT, OUTPATIENT, EMERGENCY_ROOM = 9201, 9202, 9203
ELECTRONIC_RECORD = 32817
EQUAL = 4172703
PRIMARY, SECONDARY = 32902, 32908
MALE, FEMALE = 8507, 8532

ID_RANGE = 1_000_000_000
"""Ids of a hospital start at (its number + 1) times this: no two hospitals share one."""

_MISSING_VALUE_SHARE = 0.006
_MISSING_UNIT_SHARE = 0.01
_DOUBLE_SHARE = 0.004
_YEARLY_VISITS, _YEARLY_VISITS_ILL = 0.05, 0.22
_EMERGENCY_SHARE = 0.25
_ELSEWHERE_SHARE = 0.15

_CONDITION = np.array([concept_of(code) for code in CODES], dtype=np.int32)
_DRUG = np.array([drug_concept_of(substance.key) for substance in SUBSTANCES], dtype=np.int32)
_PROCEDURE = np.array([act_concept_of(position) for position in range(len(ACTS))], dtype=np.int32)


@dataclass
class Counters:
    """The next free ids of one hospital; they run on from block to block."""

    person: int
    visit: int
    condition: int
    drug: int
    procedure: int
    measurement: int

    @staticmethod
    def of(hospital: int) -> Counters:
        """Return the counters that a hospital starts with."""
        start = (hospital + 1) * ID_RANGE + 1
        return Counters(start, start, start, start, start, start)


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits of one hospital: its stays first, in their order, then outpatient visits. ``kind`` is -1 for these."""

    who: Ints
    start: Ints
    end: Ints
    concept: Ints
    kind: Ints
    stays: int
    from_emergency: Bools

    def __len__(self) -> int:
        return len(self.who)


def draw_outpatients(rng: np.random.Generator, people: People, hospitals: int) -> tuple[Ints, Ints, Ints]:
    """Draw outpatient visits of a block: who, at which hospital, on which day."""
    ill = people.illness.any(axis=1) | (people.rare_disease >= 0)
    counts = rng.poisson(np.where(ill, _YEARLY_VISITS_ILL, _YEARLY_VISITS) * (DAYS / 365.25))
    who = np.repeat(np.arange(len(people)), counts)
    day = rng.integers(0, DAYS, size=len(who))
    away = rng.random(len(who)) < _ELSEWHERE_SHARE
    hospital = np.where(away, rng.integers(0, hospitals, size=len(who)), people.home[who])
    # A rare disease is known only where it is treated.
    hospital = np.where(people.rare_disease[who] >= 0, people.rare_hospital[who], hospital)
    keep = (day >= people.present[who]) & (day < people.gone[who])
    return who[keep], hospital[keep], day[keep]


def visits_of(rng: np.random.Generator, stays: Stays, who: Ints, day: Ints) -> Visits:
    """Return the visits of one hospital: its stays, and its outpatient visits (``who`` on ``day``)."""
    urgent = rng.random(len(stays)) < EMERGENCY[stays.kind]
    out = np.where(rng.random(len(who)) < _EMERGENCY_SHARE, EMERGENCY_ROOM, OUTPATIENT)
    same_day = stays.exit == stays.entry
    return Visits(
        who=np.concatenate([stays.who, who]),
        start=np.concatenate([stays.entry, day]),
        end=np.concatenate([stays.exit, day]),
        concept=np.concatenate([np.where(same_day, OUTPATIENT, INPATIENT), out]).astype(np.int32),
        kind=np.concatenate([stays.kind, np.full(len(who), -1)]),
        stays=len(stays),
        from_emergency=np.concatenate([urgent, np.zeros(len(who), dtype=np.bool_)]),
    )


def omop_tables(
    rng: np.random.Generator,
    people: People,
    stays: Stays,
    visits: Visits,
    acts: Acts,
    secondary: Secondary,
    hospital: int,
    first_rsa: int,
    counters: Counters,
) -> dict[str, pa.Table]:
    """Return the hospital's OMOP tables for one block, and move its counters on."""
    patients, position = np.unique(visits.who, return_inverse=True)
    person_id = counters.person + position.astype(np.int64)
    visit_id = counters.visit + np.arange(len(visits), dtype=np.int64)
    made = {
        "person": _persons(people, patients, hospital, counters),
        "visit_occurrence": _visits(visits, person_id, visit_id, hospital, first_rsa),
        "condition_occurrence": _conditions(rng, people, stays, visits, secondary, person_id, visit_id, counters),
        "drug_exposure": _drugs(rng, people, visits, person_id, visit_id, counters),
        "procedure_occurrence": _procedures(stays, acts, person_id, visit_id, counters),
        "measurement": _measurements(rng, people, visits, person_id, visit_id, counters),
        "death": _deaths(stays, person_id),
    }
    counters.person += len(patients)
    counters.visit += len(visits)
    counters.condition += made["condition_occurrence"].num_rows
    counters.drug += made["drug_exposure"].num_rows
    counters.procedure += made["procedure_occurrence"].num_rows
    counters.measurement += made["measurement"].num_rows
    return made


def _same(value: int, rows: int) -> pa.Array:
    return number(np.full(rows, value, dtype=np.int32))


def _ids(first: int, rows: int) -> pa.Array:
    return number(first + np.arange(rows, dtype=np.int64))


def _persons(people: People, patients: Ints, hospital: int, counters: Counters) -> pa.Table:
    n = len(patients)
    columns = {
        "person_id": _ids(counters.person, n),
        "gender_concept_id": number(np.where(people.sex[patients] == 1, MALE, FEMALE).astype(np.int32)),
        "year_of_birth": number(people.birth_year[patients]),
        "month_of_birth": number(people.birth_month[patients]),
        "race_concept_id": _same(0, n),
        "ethnicity_concept_id": _same(0, n),
        "care_site_id": _same(hospital + 1, n),
        "person_source_value": used_text(patients, people.nir),
        "gender_source_value": text(people.sex[patients] - 1, ("1", "2")),
    }
    return table(tables.PERSON, columns)


def _visits(visits: Visits, person_id: Ints, visit_id: Ints, hospital: int, first_rsa: int) -> pa.Table:
    n = len(visits)
    rsa = pa.array(first_rsa + np.arange(visits.stays, dtype=np.int64)).cast(pa.string())
    columns = {
        "visit_occurrence_id": number(visit_id),
        "person_id": number(person_id),
        "visit_concept_id": number(visits.concept),
        "visit_start_date": date(visits.start),
        "visit_end_date": date(visits.end),
        "visit_type_concept_id": _same(ELECTRONIC_RECORD, n),
        "care_site_id": _same(hospital + 1, n),
        "visit_source_value": pa.concat_arrays([rsa, pa.nulls(n - visits.stays, pa.string())]),
        "admitted_from_concept_id": number(np.where(visits.from_emergency, EMERGENCY_ROOM, 0).astype(np.int32)),
        "discharged_to_concept_id": _same(0, n),
    }
    return table(tables.VISIT_OCCURRENCE, columns)


def _conditions(
    rng: np.random.Generator,
    people: People,
    stays: Stays,
    visits: Visits,
    secondary: Secondary,
    person_id: Ints,
    visit_id: Ints,
    counters: Counters,
) -> pa.Table:
    """Principal and associated diagnoses of stays; for outpatient visits one of the patient's illnesses, if any."""
    out = np.arange(visits.stays, len(visits))
    ill = people.illness[visits.who[out]] * rng.random((len(out), len(ILLNESSES)), dtype=np.float32)
    seen = ill.max(axis=1) > 0
    visit = np.concatenate([np.arange(len(stays)), secondary.stay, out[seen]])
    code = np.concatenate([stays.diagnosis, secondary.code, ILLNESS_CODE[ill.argmax(axis=1)[seen]]])
    status = np.full(len(visit), PRIMARY, dtype=np.int32)
    status[len(stays) : len(stays) + len(secondary.stay)] = SECONDARY
    columns = {
        "condition_occurrence_id": _ids(counters.condition, len(visit)),
        "person_id": number(person_id[visit]),
        "condition_concept_id": number(_CONDITION[code]),
        "condition_start_date": date(visits.start[visit]),
        "condition_end_date": date(visits.end[visit]),
        "condition_type_concept_id": _same(ELECTRONIC_RECORD, len(visit)),
        "condition_status_concept_id": number(status),
        "visit_occurrence_id": number(visit_id[visit]),
        "condition_source_value": text(code, CODES),
    }
    return table(tables.CONDITION_OCCURRENCE, columns)


def _drugs(
    rng: np.random.Generator, people: People, visits: Visits, person_id: Ints, visit_id: Ints, counters: Counters
) -> pa.Table:
    """What the kind of stay calls for, and the patient's own treatments."""
    inside = np.flatnonzero((visits.kind >= 0) & (visits.concept == INPATIENT))
    kinds = [[SUBSTANCE_INDEX[key] for key in kind.drugs] for kind in KINDS]
    widest = max(len(drugs) for drugs in kinds)
    by_kind = np.array([drugs + [-1] * (widest - len(drugs)) for drugs in kinds])[visits.kind[inside]]
    given = (by_kind >= 0) & (rng.random(by_kind.shape) < 0.75)
    row, column = np.nonzero(given)
    parts = [(inside[row], by_kind[row, column])]
    for position, illness in enumerate(ILLNESSES):
        treated = inside[people.illness[visits.who[inside], position]]
        for key, share in illness.drugs[:2]:
            mine = treated[rng.random(len(treated)) < share]
            parts.append((mine, np.full(len(mine), SUBSTANCE_INDEX[key])))
    visit = np.concatenate([part[0] for part in parts])
    drug = np.concatenate([part[1] for part in parts])
    order = np.lexsort((drug, visit))
    visit, drug = visit[order], drug[order]
    days = (visits.end[visit] - visits.start[visit]).astype(np.int32)
    columns = {
        "drug_exposure_id": _ids(counters.drug, len(visit)),
        "person_id": number(person_id[visit]),
        "drug_concept_id": number(_DRUG[drug]),
        "drug_exposure_start_date": date(visits.start[visit]),
        "drug_exposure_end_date": date(visits.end[visit]),
        "drug_type_concept_id": _same(ELECTRONIC_RECORD, len(visit)),
        "quantity": number((days * rng.integers(1, 4, size=len(visit))).astype(np.float64)),
        "days_supply": number(days),
        "visit_occurrence_id": number(visit_id[visit]),
        "drug_source_value": text(drug, [substance.atc for substance in SUBSTANCES]),
    }
    return table(tables.DRUG_EXPOSURE, columns)


def _procedures(stays: Stays, acts: Acts, person_id: Ints, visit_id: Ints, counters: Counters) -> pa.Table:
    n = len(acts.stay)
    columns = {
        "procedure_occurrence_id": _ids(counters.procedure, n),
        "person_id": number(person_id[acts.stay]),
        "procedure_concept_id": number(_PROCEDURE[acts.act]),
        "procedure_date": date(stays.entry[acts.stay] + acts.delay),
        "procedure_type_concept_id": _same(ELECTRONIC_RECORD, n),
        "quantity": number(acts.count),
        "visit_occurrence_id": number(visit_id[acts.stay]),
        "procedure_source_value": text(acts.act, [act.code for act in ACTS]),
    }
    return table(tables.PROCEDURE_OCCURRENCE, columns)


def _measurements(
    rng: np.random.Generator, people: People, visits: Visits, person_id: Ints, visit_id: Ints, counters: Counters
) -> pa.Table:
    parts = [_measured(rng, people, visits, measure) for measure in MEASURES]
    visit = np.concatenate([part[0] for part in parts])
    value = np.concatenate([part[1] for part in parts])
    measure = np.repeat(np.arange(len(MEASURES)), [len(part[0]) for part in parts])
    order = np.lexsort((measure, visit))
    # Some results were sent twice.
    order = np.repeat(order, 1 + (rng.random(len(order)) < _DOUBLE_SHARE))
    visit, value, measure = visit[order], value[order], measure[order]
    n = len(visit)
    no_unit = rng.random(n) < _MISSING_UNIT_SHARE

    def known(values: list[float]) -> pa.Array:
        return number(np.array(values)[measure])

    units = np.array([m.unit_concept for m in MEASURES], dtype=np.int32)[measure]
    columns = {
        "measurement_id": _ids(counters.measurement, n),
        "person_id": number(person_id[visit]),
        "measurement_concept_id": number(np.array([m.concept for m in MEASURES], dtype=np.int32)[measure]),
        "measurement_date": date(visits.start[visit]),
        "measurement_type_concept_id": _same(ELECTRONIC_RECORD, n),
        "operator_concept_id": _same(EQUAL, n),
        "value_as_number": number(value, rng.random(n) < _MISSING_VALUE_SHARE),
        "unit_concept_id": number(np.where(no_unit, 0, units).astype(np.int32)),
        "range_low": known([m.low for m in MEASURES]),
        "range_high": known([m.high for m in MEASURES]),
        "visit_occurrence_id": number(visit_id[visit]),
        "measurement_source_value": text(measure, [m.loinc for m in MEASURES]),
        "unit_source_value": text(measure, [m.unit for m in MEASURES], no_unit),
    }
    return table(tables.MEASUREMENT, columns)


def _measured(rng: np.random.Generator, people: People, visits: Visits, measure: Measure) -> tuple[Ints, Floats]:
    """Draw the visits at which something was measured, and the values."""
    chance = np.full(len(people), measure.share)
    for name, share in measure.sought:
        chance = np.where(people.has(name), np.maximum(chance, share), chance)
    visit = np.flatnonzero(rng.random(len(visits)) < chance[visits.who])
    who = visits.who[visit]
    mean = measure.mean + measure.age_slope * (people.age_at(who, visits.start[visit]) - 50)
    spread = np.full(len(who), measure.sd)
    for name, shift in measure.shifts:
        affected = people.has(name)[who]
        mean = mean + np.where(affected, shift, 0.0)
        spread = np.where(affected, np.maximum(spread, abs(shift) * 0.5), spread)
    value = np.maximum(rng.normal(mean, spread), measure.mean * 0.35)
    return visit, np.round(value, measure.digits).astype(np.float64)


def _deaths(stays: Stays, person_id: Ints) -> pa.Table:
    dead = np.flatnonzero(stays.died)
    # Two stays may end on the day of death; a person dies once.
    _, first = np.unique(person_id[dead], return_index=True)
    dead = dead[first]
    columns = {
        "person_id": number(person_id[dead]),
        "death_date": date(stays.exit[dead]),
        "death_type_concept_id": _same(ELECTRONIC_RECORD, len(dead)),
        "cause_concept_id": number(_CONDITION[stays.diagnosis[dead]]),
        "cause_source_value": text(stays.diagnosis[dead], CODES),
    }
    return table(tables.DEATH, columns)
