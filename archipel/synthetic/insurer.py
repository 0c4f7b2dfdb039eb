"""Writes a block's people, claims, long-term illnesses and deaths as CNAM's tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from archipel.synthetic import tables
from archipel.synthetic.arrays import Ints, cents, constant, date, number, pseudonyms, table, text, used_text
from archipel.synthetic.calendar import DAY_ZERO, DAYS, MONTH_WORDS, NEVER, day_of, month_code, years_of
from archipel.synthetic.catalogue.care import ACTS
from archipel.synthetic.catalogue.diagnoses import CODES, INDEX
from archipel.synthetic.catalogue.drugs import BOXES
from archipel.synthetic.catalogue.illnesses import ILLNESSES, RARE_DISEASES
from archipel.synthetic.catalogue.places import DEPARTEMENTS, HOSPITALS
from archipel.synthetic.claims import Keys, Lines, draw_claims
from archipel.synthetic.people import People
from archipel.synthetic.pmsi import homes
from archipel.synthetic.stays import Stays

# In the real table nobody is without a date of death: the living have this one.
_NOT_DEAD = int(np.datetime64("1600-01-01", "D").astype(np.int64)) - DAY_ZERO
_NOT_DEAD_MONTH = "160001"
_NO_PRESCRIPTION_SHARE = 0.02
_UNKNOWN_DRUG_SHARE = 0.002
_MISSING_DRUG_SHARE = 0.001
_DOUBLE_ALD_SHARE = 0.015
_MISSING_CODE_SHARE = 0.01
_OTHER_EXEMPTION_SHARE = 0.01
_WITHDRAWN_CIP = 3400999999990
"""A box that the drug reference no longer knows."""

_LISTED, _UNLISTED, _SEVERAL, _WORK_ACCIDENT = 41, 43, 45, 11
_PROFESSIONALS = 50
"""Prescribers, and as many who carry out, in each departement."""


def insurer_tables(
    rng: np.random.Generator, people: People, stays: Stays, seed: int, block: int
) -> dict[str, pa.Table]:
    """Return CNAM's tables for one block."""
    lines, keys = draw_claims(rng, people, stays, block)
    return {
        "IR_BEN_R": _beneficiaries(rng, people, lines, keys, seed),
        **_claims(rng, people, lines, keys),
        "IR_IMB_R": _exemptions(rng, people),
        "KI_CCI_R": _causes_of_death(rng, people, stays, seed),
    }


def _organisations(prefix: str, suffix: str) -> list[str]:
    return [f"{prefix}{d.code}{suffix}" for d in DEPARTEMENTS]


_PAYERS = _organisations("01C", "100")
_AFFILIATIONS = _organisations("01A", "200")
_COMMUNES = [f"{commune:03d}" for commune in range(1, 400)]
_PROVIDERS = [f"{d.code}{n:06d}" for d in DEPARTEMENTS for n in range(2 * _PROFESSIONALS)]


def _beneficiaries(rng: np.random.Generator, people: People, lines: Lines, keys: Keys, seed: int) -> pa.Table:
    """One row for each BEN_NIR_PSA; the second one of a person repeats the rest."""
    second = np.flatnonzero(people.second_nir >= 0)
    who = np.concatenate([np.arange(len(people)), second])
    n = len(who)
    dead = people.death[who] < NEVER
    latest = np.full(len(people), -DAYS, dtype=np.int64)
    np.maximum.at(latest, lines.who, keys.treated)
    used = latest[who] > -DAYS
    unnamed = rng.random(n) < 0.01
    # Children are insured through a parent, whose number is not theirs.
    holder = pseudonyms(people.first + who.astype(np.uint64) + np.uint64(2**41), seed, 3)
    changed = day_of(people.birth_year[who], people.birth_month[who], np.ones(n)) + 30
    columns = {
        "BEN_NIR_PSA": text(np.concatenate([np.arange(len(people)), people.second_nir[second]]), people.nir),
        "BEN_RNG_GEM": _twin(people, who),
        "BEN_NIR_ANO": text(
            who, pseudonyms(np.arange(len(people), dtype=np.uint64) + np.uint64(people.first), seed, 4), unnamed
        ),
        "BEN_IDT_ANO": text(who, people.idt),
        "BEN_IDT_TOP": number(np.where(unnamed, 0, 1).astype(np.int32)),
        "ASS_NIR_ANO": holder,
        "BEN_CDI_NIR": text((rng.random(n) < 0.02).astype(np.int32), ("00", "03")),
        "BEN_NAI_ANN": number(people.birth_year[who]),
        "BEN_NAI_MOI": text(people.birth_month[who] - 1, [f"{month:02d}" for month in range(1, 13)]),
        "BEN_SEX_COD": number(people.sex[who]),
        "BEN_DCD_DTE": date(np.where(dead, people.death[who], _NOT_DEAD)),
        "BEN_DCD_AME": text(
            np.where(dead, month_code(np.minimum(people.death[who], DAYS)), len(MONTH_WORDS)),
            [*MONTH_WORDS, _NOT_DEAD_MONTH],
        ),
        "BEN_RES_DPT": homes(people, who),
        "BEN_RES_COM": text(rng.integers(0, len(_COMMUNES), size=n), _COMMUNES),
        "BEN_TOP_CNS": number(used.astype(np.int32)),
        "ORG_AFF_BEN": text(people.departement[who], _AFFILIATIONS),
        "ORG_CLE_NEW": text(people.departement[who], _PAYERS),
        "MAX_TRT_DTD": date(latest[who], ~used),
        "BEN_DTE_INS": date(np.maximum(changed, -4000)),
        "BEN_DTE_MAJ": date(np.full(n, DAYS + 30)),
    }
    return table(tables.IR_BEN_R, columns)


def _twin(people: People, who: Ints) -> pa.Array:
    return number(np.where(people.twin[who], 2, 1).astype(np.int32))


def _key_columns(keys: Keys) -> dict[str, pa.Array]:
    return {
        "FLX_DIS_DTD": date(keys.available),
        "FLX_TRT_DTD": date(keys.treated),
        "FLX_EMT_TYP": number(keys.sender_type.astype(np.int32)),
        "FLX_EMT_NUM": number(keys.sender.astype(np.int32)),
        "FLX_EMT_ORD": number(keys.order.astype(np.int32)),
        "ORG_CLE_NUM": text(keys.organisation, _PAYERS),
        "DCT_ORD_NUM": number(keys.statement),
        "PRS_ORD_NUM": number(keys.line.astype(np.int32)),
        "REM_TYP_AFF": number(np.zeros(len(keys.line), dtype=np.int32)),
    }


def _claims(rng: np.random.Generator, people: People, lines: Lines, keys: Keys) -> dict[str, pa.Table]:
    joined = _key_columns(keys)
    person = text(lines.who, people.idt)
    drugs = np.flatnonzero(lines.drug >= 0)
    acts = np.flatnonzero(lines.act >= 0)
    return {
        "ER_PRS_F": _services(rng, people, lines, {**joined, "BEN_IDT_ANO": person}),
        "ER_PHA_F": _drugs(rng, lines.take(drugs), _taken({**joined, "BEN_IDT_ANO": person}, drugs)),
        "ER_CAM_F": _acts(rng, lines.take(acts), _taken({**joined, "BEN_IDT_ANO": person}, acts)),
    }


def _taken(columns: dict[str, pa.Array], rows: Ints) -> dict[str, pa.Array]:
    chosen = pa.array(rows)
    return {name: column.take(chosen) for name, column in columns.items()}


def _services(rng: np.random.Generator, people: People, lines: Lines, shared: dict[str, pa.Array]) -> pa.Table:
    n, who, day = len(lines), lines.who, lines.day
    base = lines.quantity.astype(np.int64) * lines.unit_price
    paid = np.rint(base * lines.rate / 100).astype(np.int64)
    age = people.age_at(who, day)
    months_old = np.maximum(day - people.birth[who], 0) * 12 // 365
    prescribed = (lines.drug >= 0) | (lines.act >= 0)
    not_prescribed = ~prescribed | (rng.random(n) < _NO_PRESCRIPTION_SHARE)
    place = people.departement[who] * 2 * _PROFESSIONALS
    sign = np.sign(lines.quantity).astype(np.int32)
    full = (lines.rate == 100) & people.ald[who]
    columns = {
        **shared,
        "BEN_NIR_PSA": text(people.nir_at(who, day), people.nir),
        "BEN_RNG_GEM": _twin(people, who),
        "BEN_NAI_ANN": number(people.birth_year[who]),
        "BEN_SEX_COD": number(people.sex[who]),
        "BEN_AMA_COD": number(np.where(months_old < 24, 1000 + months_old, age).astype(np.int32)),
        "BEN_RES_DPT": homes(people, who),
        "BEN_CMU_TOP": number(people.poor[who].astype(np.int32)),
        "ORG_AFF_BEN": text(people.departement[who], _AFFILIATIONS),
        "RGM_GRG_COD": number(people.regime[who]),
        "EXE_SOI_DTD": date(day),
        "EXE_SOI_DTF": date(day),
        "EXE_SOI_AMD": text(month_code(day), MONTH_WORDS),
        "PRE_PRE_DTD": date(day - rng.integers(0, 20, size=n), not_prescribed),
        "PRS_NAT_REF": number(lines.nature),
        "BSE_PRS_NAT": number(lines.nature),
        "PRS_ACT_QTE": cents(lines.quantity.astype(np.int64) * 100),
        "PRS_ACT_NBR": cents(sign.astype(np.int64) * 100),
        "PRS_PAI_MNT": cents(base + lines.excess),
        "PRS_DEP_MNT": cents(lines.excess),
        "BSE_REM_PRU": cents(lines.unit_price),
        "BSE_REM_BSE": cents(base),
        "BSE_REM_MNT": cents(paid),
        "BSE_REM_SGN": number(np.where(sign < 0, 1, 0).astype(np.int32)),
        "RGO_REM_TAU": number(lines.rate),
        "RGO_ASU_NAT": number(np.full(n, 10, dtype=np.int32)),
        "EXO_MTF": number(np.where(full, _LISTED, 0).astype(np.int32)),
        "DPN_QLF": number(lines.qualifier),
        "PRS_DPN_QLP": number(lines.qualifier),
        "PSE_SPE_COD": number(lines.speciality),
        "PSP_SPE_COD": number(np.where(prescribed, 1, 0).astype(np.int32)),
        "PFS_EXE_NUM": text(place + rng.integers(_PROFESSIONALS, 2 * _PROFESSIONALS, size=n), _PROVIDERS),
        "PFS_PRE_NUM": text(place + rng.integers(0, _PROFESSIONALS, size=n), _PROVIDERS, not_prescribed),
        "ETB_PRE_FIN": text(np.maximum(lines.hospital, 0), [h.finess for h in HOSPITALS], lines.hospital < 0),
    }
    return table(tables.ER_PRS_F, columns)


def _drugs(rng: np.random.Generator, lines: Lines, shared: dict[str, pa.Array]) -> pa.Table:
    n = len(lines)
    code = np.array([box.cip for box in BOXES], dtype=np.int64)[lines.drug]
    code = np.where(rng.random(n) < _UNKNOWN_DRUG_SHARE, _WITHDRAWN_CIP, code)
    columns = {
        **shared,
        "PHA_ORD_NUM": number(np.ones(n, dtype=np.int32)),
        "PHA_PRS_C13": number(code, rng.random(n) < _MISSING_DRUG_SHARE),
        "PHA_ACT_QSN": number(lines.quantity),
        "PHA_ACT_PRU": cents(lines.unit_price),
        "PHA_DEC_TOP": text((rng.random(n) < 0.004).astype(np.int32), ("N", "D")),
        "PHA_MOD_PRN": text((rng.random(n) < 0.1).astype(np.int32), ("1", "0")),
        "PHA_SEQ_RNV": number(rng.integers(0, 3, size=n).astype(np.int32)),
        "PHA_SUB_MTF": number(np.where(rng.random(n) < 0.05, 3, 0).astype(np.int32)),
    }
    return table(tables.ER_PHA_F, columns)


def _acts(rng: np.random.Generator, lines: Lines, shared: dict[str, pa.Array]) -> pa.Table:
    n = len(lines)
    columns = {
        **shared,
        "CAM_ORD_NUM": number(np.ones(n, dtype=np.int32)),
        "CAM_PRS_IDE": text(lines.act, [act.code for act in ACTS]),
        "CAM_ACT_COD": constant("1", n),
        "CAM_TRT_PHA": number(np.zeros(n, dtype=np.int32)),
        "CAM_ASS_COD": text(np.zeros(n, np.int32), ("1",), rng.random(n) < 0.8),
        "CAM_ACT_PRU": cents(lines.unit_price),
        "CAM_REM_BSE": cents(lines.quantity.astype(np.int64) * lines.unit_price),
        "CAM_DOC_EXT": pa.nulls(n, pa.string()),
    }
    return table(tables.ER_CAM_F, columns)


def _exemptions(rng: np.random.Generator, people: People) -> pa.Table:
    """Long-term illnesses of those who have the status, and exemptions of other kinds that have no diagnosis."""
    who, column = np.nonzero(people.listed)
    code = np.array([INDEX[illness.code] for illness in ILLNESSES])[column]
    number_of = np.array([illness.ald or 0 for illness in ILLNESSES])[column]
    rare = np.flatnonzero(people.rare_disease >= 0)
    disease = people.rare_disease[rare]
    who = np.concatenate([who, rare])
    code = np.concatenate([code, np.array([INDEX[d.code] for d in RARE_DISEASES])[disease]])
    number_of = np.concatenate([number_of, np.array([d.ald for d in RARE_DISEASES])[disease]])
    many = np.bincount(who, minlength=len(people))[who] >= 4
    nature = np.select(
        [many & (rng.random(len(who)) < 0.15), rng.random(len(who)) < 0.04], [_SEVERAL, _UNLISTED], _LISTED
    )
    others = np.flatnonzero(rng.random(len(people)) < _OTHER_EXEMPTION_SHARE)
    who = np.concatenate([who, others])
    code = np.concatenate([code, np.full(len(others), -1)])
    number_of = np.concatenate([number_of, np.zeros(len(others), dtype=np.int64)])
    nature = np.concatenate([nature, np.full(len(others), _WORK_ACCIDENT)])
    start = rng.integers(-15 * 365, DAYS, size=len(who))
    start = np.maximum(start, people.birth[who])
    # Some statuses were entered twice, with the same dates.
    order = np.argsort(who, kind="stable")
    order = np.repeat(order, 1 + (rng.random(len(order)) < _DOUBLE_ALD_SHARE))
    who, code, number_of, nature, start = who[order], code[order], number_of[order], nature[order], start[order]
    n = len(who)
    no_code = (code < 0) | (rng.random(n) < _MISSING_CODE_SHARE)
    columns = {
        "BEN_IDT_ANO": used_text(who, people.idt),
        "BEN_NIR_PSA": used_text(people.nir_at(who, start), people.nir),
        "BEN_RNG_GEM": _twin(people, who),
        "IMB_ALD_DTD": date(start),
        "IMB_ALD_DTF": date(start + np.where(nature == _WORK_ACCIDENT, 365, 20 * 365)),
        "IMB_ALD_NUM": number(number_of.astype(np.int32)),
        "IMB_ETM_NAT": number(nature.astype(np.int32)),
        "MED_MTF_COD": text(np.maximum(code, 0), CODES, no_code),
        "MED_NCL_IDT": constant("CIM10", n),
        "INS_DTE": date(start + 20),
        "UPD_DTE": date(np.maximum(start + 20, DAYS - 400)),
    }
    return table(tables.IR_IMB_R, columns)


_OTHER_CAUSES = tuple(INDEX[code] for code in ("C349", "I219", "I64", "J189", "A419", "I500"))


def _causes_of_death(rng: np.random.Generator, people: People, stays: Stays, seed: int) -> pa.Table:
    who = np.flatnonzero(people.death < NEVER)
    n = len(who)
    code = np.array(_OTHER_CAUSES)[rng.integers(0, len(_OTHER_CAUSES), size=n)]
    last = np.full(len(people), -1, dtype=np.int64)
    died = np.flatnonzero(stays.died)
    last[stays.who[died]] = stays.diagnosis[died]
    code = np.where(last[who] >= 0, last[who], code)
    inside = last[who] >= 0
    unmatched = rng.random(n) < 0.03
    certificate = pseudonyms(who.astype(np.uint64) + np.uint64(people.first), seed, 5)
    death = people.death[who]
    columns = {
        "DCD_IDT_ENC": certificate,
        "DCD_IDT_TOP": number(np.where(unmatched, 0, 1).astype(np.int32)),
        "BEN_IDT_ANO": used_text(who, people.idt, unmatched),
        "BEN_IDT_TOP": number(np.where(unmatched, 0, 1).astype(np.int32)),
        "FLX_PER_ANN": text((years_of(death) - 2021), ("2021", "2022", "2023")),
        "BEN_DCD_DTE": date(death),
        "BEN_DCD_AME": text(month_code(death), MONTH_WORDS),
        "DCD_DPT_COD": homes(people, who),
        "BEN_RES_DPT": homes(people, who),
        "BEN_NAI_ANN": number(people.birth_year[who]),
        "BEN_SEX_COD": number(people.sex[who]),
        "DCD_CIM_COD": text(code, CODES, rng.random(n) < 0.01),
        "DCD_LIE_COD": number(np.where(inside, 2, 1).astype(np.int32)),
    }
    return table(tables.KI_CCI_R, columns)
