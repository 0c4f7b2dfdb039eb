"""Writes one hospital's stays as PMSI MCO tables, with the faults that real ones have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archipel.synthetic import tables
from archipel.synthetic.arrays import Bools, Ints, constant, date, number, table, text, used_text
from archipel.synthetic.calendar import MONTH_WORDS, month_code, months_of
from archipel.synthetic.catalogue.care import ACT_INDEX, ACTS
from archipel.synthetic.catalogue.diagnoses import CODES
from archipel.synthetic.catalogue.places import DEPARTEMENTS, Hospital
from archipel.synthetic.people import People
from archipel.synthetic.stays import EMERGENCY, ILLNESS_CODE, KINDS, SESSION, Stays

# Shares of faulty rows; of the order that users of the PMSI report.
GROUPING_ERROR_SHARE = 0.008
BAD_NIR_SHARE = 0.012
BAD_DATE_SHARE = 0.004
BAD_OTHER_SHARE = 0.003
DOUBLE_ACT_SHARE = 0.01
UNKNOWN_PATIENT = "XXXXXXXXXXXXXXXXX"
"""What stands in NIR_ANO_17 when the patient's number could not be made: many patients share it."""

UNKNOWN_HOME = "999"
DEPARTEMENT_WORDS = (*(d.code for d in DEPARTEMENTS), UNKNOWN_HOME)
_RSA_FORMAT = "225"
_CLASSIFICATION = "11"
_CODED_ILLNESS_SHARE = 0.55
_INTENSIVE_SHARE = 0.04


@dataclass(frozen=True, slots=True)
class Acts:
    """Acts of stays: ``stay`` is a position in the hospital's stays, ``act`` one in ACTS."""

    stay: Ints
    act: Ints
    delay: Ints
    count: Ints


@dataclass(frozen=True, slots=True)
class Secondary:
    """Associated diagnoses: ``stay`` is a position in the hospital's stays, ``rank`` counts from 1 in each stay."""

    stay: Ints
    code: Ints
    rank: Ints


def draw_acts(rng: np.random.Generator, stays: Stays) -> Acts:
    """Draw what was done during the stays."""
    per_kind = [[ACT_INDEX[code] for code in kind.acts] for kind in KINDS]
    widest = max(len(acts) for acts in per_kind)
    matrix = np.array([acts + [-1] * (widest - len(acts)) for acts in per_kind])
    share = np.array([1.0, 0.6, 0.4])[:widest]
    done = (matrix[stays.kind] >= 0) & (rng.random((len(stays), widest)) < share)
    stay, column = np.nonzero(done)
    length = (stays.exit - stays.entry)[stay]
    return Acts(
        stay=stay,
        act=matrix[stays.kind[stay], column],
        delay=(rng.random(len(stay)) * (length + 1)).astype(np.int32),
        count=np.where(SESSION[stays.kind[stay]], 1, 1 + (rng.random(len(stay)) < 0.15)).astype(np.int32),
    )


def draw_secondary(rng: np.random.Generator, stays: Stays, people: People) -> Secondary:
    """Draw which of a patient's chronic illnesses were coded for the stay."""
    coded = people.illness[stays.who] & (
        rng.random((len(stays), len(ILLNESS_CODE)), dtype=np.float32) < _CODED_ILLNESS_SHARE
    )
    coded &= ILLNESS_CODE[None, :] != stays.diagnosis[:, None]
    stay, column = np.nonzero(coded)
    return Secondary(stay, ILLNESS_CODE[column], _ranks(stay))


def _ranks(groups: Ints) -> Ints:
    """Return 1, 2, ... within each run of equal values."""
    if not len(groups):
        return np.zeros(0, dtype=np.int32)
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(groups)]]))
    return (np.arange(len(groups)) - np.repeat(starts, lengths) + 1).astype(np.int32)


def pmsi_tables(
    rng: np.random.Generator,
    people: People,
    stays: Stays,
    acts: Acts,
    secondary: Secondary,
    hospital: Hospital,
    first_rsa: int,
) -> dict[str, pa.Table]:
    """Return the hospital's PMSI tables for its stays of one block; RSA numbers count from ``first_rsa``."""
    n = len(stays)
    rsa = first_rsa + np.arange(n, dtype=np.int64)
    bad_nir = rng.random(n) < BAD_NIR_SHARE
    nir = _patients(people, stays, bad_nir)
    stay_table, units = _stay_table(rng, people, stays, acts, secondary, hospital, rsa, nir)
    return {
        "T_MCOaaB": stay_table,
        "T_MCOaaC": _key_table(rng, people, stays, hospital, rsa, nir, bad_nir),
        "T_MCOaaD": table(
            tables.T_MCOAAD,
            {
                **_stay_columns(secondary.stay, hospital, rsa, nir),
                "DGN_ASS_NUM": number(secondary.rank),
                "ASS_DGN": text(secondary.code, CODES),
            },
        ),
        "T_MCOaaA": _act_table(rng, acts, hospital, rsa, nir),
        "T_MCOaaUM": _unit_table(rng, stays, units, hospital, rsa, nir),
    }


def _patients(people: People, stays: Stays, bad_nir: Bools) -> pa.DictionaryArray:
    words = pa.concat_arrays([people.nir, pa.array([UNKNOWN_PATIENT])])
    codes = np.where(bad_nir, len(people.nir), people.nir_at(stays.who, stays.entry))
    return used_text(codes, words)


def _stay_columns(stay: Ints, hospital: Hospital, rsa: Ints, nir: pa.DictionaryArray) -> dict[str, pa.Array]:
    return {
        "ETA_NUM": constant(hospital.finess, len(stay)),
        "RSA_NUM": number(rsa[stay]),
        "NIR_ANO_17": nir.take(pa.array(stay)),
    }


def _stay_table(
    rng: np.random.Generator,
    people: People,
    stays: Stays,
    acts: Acts,
    secondary: Secondary,
    hospital: Hospital,
    rsa: Ints,
    nir: pa.DictionaryArray,
) -> tuple[pa.Table, Ints]:
    n = len(stays)
    who, kind, length = stays.who, stays.kind, (stays.exit - stays.entry).astype(np.int32)
    days_old = stays.entry - people.birth[who]
    age = people.age_at(who, stays.entry)
    baby = days_old < 365
    newborn = days_old < 2
    urgent = rng.random(n) < EMERGENCY[kind]
    transferred = rng.random(n)
    session = SESSION[kind]
    units = np.where(length >= 2, 1 + (rng.random(n) < 0.2) + (rng.random(n) < 0.04), 1).astype(np.int32)
    intensive = (length >= 3) & (rng.random(n) < _INTENSIVE_SHARE)
    intensive_days = np.where(intensive, np.minimum(length - 1, 1 + rng.poisson(3, size=n)), 0)
    way_out = np.select([stays.died, transferred < 0.05, transferred < 0.10], [3, 1, 2], default=0)
    error = rng.random(n) < GROUPING_ERROR_SHARE
    columns = {
        **_stay_columns(np.arange(n), hospital, rsa, nir),
        "AGE_ANN": number(age, baby),
        "AGE_JOU": number(days_old.astype(np.int32), ~baby),
        "COD_SEX": text(people.sex[who] - 1, ("1", "2")),
        "BDI_DEP": homes(people, who),
        "ENT_MOD": text(np.where(newborn, 2, np.where(rng.random(n) < 0.04, 1, 0)), ("8", "7", "N")),
        "ENT_PRV": text(np.zeros(n, np.int32), ("5",), ~urgent),
        "SOR_MOD": text(way_out, ("8", "7", "6", "9")),
        "SOR_DES": text((way_out == 2).astype(np.int32), ("1", "2"), (way_out == 0) | (way_out == 3)),
        **_leaving(stays.exit),
        "SEJ_NBJ": number(length, session),
        "DGN_PAL": text(stays.diagnosis, CODES),
        "DGN_REL": text(np.maximum(stays.related, 0), CODES, stays.related < 0),
        "GRG_GHM": _groups(stays, age, length, error),
        "GRG_RET": text(error.astype(np.int32), ("000", "080")),
        "GRG_VER": constant(_CLASSIFICATION, n),
        "NBR_DGN": number(np.bincount(secondary.stay, minlength=n).astype(np.int32)),
        "NBR_ACT": number(np.bincount(acts.stay, minlength=n).astype(np.int32)),
        "NBR_RUM": number(units),
        "NBR_SEA": number(np.where(session, rng.integers(1, 4, size=n), 0).astype(np.int32)),
        "NBR_SUP_REA": number(intensive_days.astype(np.int32)),
        "NBR_SUP_SRC": number(np.where(length >= 2, rng.poisson(0.15, size=n), 0).astype(np.int32)),
        "POI_NAI": number(np.clip(rng.normal(3280, 520, size=n), 700, 5500).astype(np.int32), ~newborn),
        "UHCD_TOP": text((urgent & (length <= 1) & (rng.random(n) < 0.5)).astype(np.int32), ("0", "1")),
        "PAS_LIT_DED": text((_of(stays, "palliative")).astype(np.int32), ("0", "1")),
        "RSS_NUM": constant(_RSA_FORMAT, n),
    }
    return table(tables.T_MCOAAB, columns), units


def homes(people: People, who: Ints) -> pa.DictionaryArray:
    """Return the departement in which ``who`` live; 999 where it is not known."""
    known = people.home_known[who]
    return text(np.where(known, people.departement[who], len(DEPARTEMENT_WORDS) - 1), DEPARTEMENT_WORDS)


def _of(stays: Stays, kind: str) -> Bools:
    position = next(i for i, each in enumerate(KINDS) if each.name == kind)
    chosen: Bools = stays.kind == position
    return chosen


def _leaving(day: Ints) -> dict[str, pa.Array]:
    months = months_of(day)
    return {
        "SOR_ANN": text(months // 12 - 51, ("2021", "2022", "2023")),
        "SOR_MOI": text(months % 12, [f"{month:02d}" for month in range(1, 13)]),
    }


_SEVERITIES = ("1", "2", "3", "4", "T", "J", "Z")
_GROUPS = (*(kind.ghm + severity for kind in KINDS for severity in _SEVERITIES), "90Z00Z", "90Z02Z")


def _groups(stays: Stays, age: Ints, length: Ints, error: Bools) -> pa.DictionaryArray:
    """The diagnosis-related group: its root, and a severity by age and length, or T, J, Z for short stays."""
    surgical = np.array([kind.ghm[2] in "CK" for kind in KINDS])[stays.kind]
    severe = np.clip((length > 5).astype(np.int32) + (length > 10) + ((age > 75) & (length > 3)), 0, 3)
    severity = np.select(
        [SESSION[stays.kind], (length == 0) & surgical, length <= 1],
        [_SEVERITIES.index("Z"), _SEVERITIES.index("J"), _SEVERITIES.index("T")],
        default=severe,
    )
    wrong = len(_GROUPS) - 2 + (stays.who % 2)
    return text(np.where(error, wrong, stays.kind * len(_SEVERITIES) + severity), _GROUPS)


def _key_table(
    rng: np.random.Generator,
    people: People,
    stays: Stays,
    hospital: Hospital,
    rsa: Ints,
    nir: pa.DictionaryArray,
    bad_nir: Bools,
) -> pa.Table:
    n = len(stays)
    bad_date = rng.random(n) < BAD_DATE_SHARE

    def code(bad: Bools) -> pa.DictionaryArray:
        return text(bad.astype(np.int32), ("0", "1"))

    def sometimes() -> pa.DictionaryArray:
        return code(rng.random(n) < BAD_OTHER_SHARE)

    columns = {
        **_stay_columns(np.arange(n), hospital, rsa, nir),
        "NIR_RET": code(bad_nir),
        "NAI_RET": sometimes(),
        "SEX_RET": sometimes(),
        "SEJ_RET": sometimes(),
        "FHO_RET": code(bad_nir),
        "PMS_RET": sometimes(),
        "DAT_RET": code(bad_date),
        "COH_NAI_RET": sometimes(),
        "COH_SEX_RET": sometimes(),
        "ENT_DAT": date(stays.entry, bad_date),
        "SOR_DAT": date(stays.exit),
        "EXE_SOI_DTD": date(stays.entry, bad_date),
        "EXE_SOI_DTF": date(stays.exit),
        "EXE_SOI_AMD": text(month_code(stays.entry), MONTH_WORDS, bad_date),
        "EXE_SOI_AMF": text(month_code(stays.exit), MONTH_WORDS),
        **_leaving(stays.exit),
        "RNG_NAI": number(np.where(people.twin[stays.who], 2, 1).astype(np.int32)),
    }
    return table(tables.T_MCOAAC, columns)


def _act_table(
    rng: np.random.Generator, acts: Acts, hospital: Hospital, rsa: Ints, nir: pa.DictionaryArray
) -> pa.Table:
    n = len(acts.stay)
    # A few rows are there twice, equal in every column.
    rows = np.repeat(np.arange(n), 1 + (rng.random(n) < DOUBLE_ACT_SHARE))
    anaesthetist = np.array([act.price_cents > 15_000 for act in ACTS])[acts.act] & (rng.random(n) < 0.5)
    columns = {
        **_stay_columns(acts.stay[rows], hospital, rsa, nir),
        "RUM_SEQ": constant("01", len(rows)),
        "ENT_DAT_DEL": number(acts.delay[rows]),
        "CDC_ACT": text(acts.act[rows], [act.code for act in ACTS]),
        "ACV_ACT": text(anaesthetist[rows].astype(np.int32), ("1", "4")),
        "PHA_ACT": constant("0", len(rows)),
        "NBR_EXE_ACT": number(acts.count[rows]),
    }
    return table(tables.T_MCOAAA, columns)


_UNIT_AUTHORISATIONS = ("00", "07B", "01A", "02A", "29", "53", "70")


def _unit_table(
    rng: np.random.Generator, stays: Stays, units: Ints, hospital: Hospital, rsa: Ints, nir: pa.DictionaryArray
) -> pa.Table:
    stay = np.repeat(np.arange(len(stays)), units)
    rank = _ranks(stay)
    length = (stays.exit - stays.entry).astype(np.int32)[stay]
    share = length // units[stay]
    last = rank == units[stay]
    columns = {
        **_stay_columns(stay, hospital, rsa, nir),
        "UM_ORD_NUM": number(rank),
        "UM_TYP": text((length == 0).astype(np.int32), ("C", "P")),
        "AUT_TYP1_UM": text(rng.integers(0, len(_UNIT_AUTHORISATIONS), size=len(stay)), _UNIT_AUTHORISATIONS),
        "DGN_PAL": text(stays.diagnosis[stay], CODES),
        "PAR_DUR_SEJ": number(np.where(last, length - share * (units[stay] - 1), share).astype(np.int32)),
    }
    return table(tables.T_MCOAAUM, columns)
