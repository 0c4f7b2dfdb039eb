"""Draws the people of a block: age, sex, home, illnesses, death, and the identifiers that institutions know them by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from archipel.synthetic.arrays import Bools, Floats, Ints, pseudonyms
from archipel.synthetic.calendar import DAYS, END_YEAR, NEVER, START_YEAR, day_of
from archipel.synthetic.catalogue.illnesses import (
    ANCHOR_AGES,
    COMORBIDITIES,
    ILLNESS_INDEX,
    ILLNESSES,
    RARE_DISEASES,
)
from archipel.synthetic.catalogue.places import DEPARTEMENTS, HOSPITALS, REGIONS

# Shares of ages 0-4, 5-9, ... 95-99 in the French population, per mille, rounded.
_AGE_SHARES = (51, 58, 62, 62, 57, 55, 59, 62, 62, 60, 66, 66, 63, 59, 55, 44, 27, 19, 10, 3)
_OLDEST = 5 * len(_AGE_SHARES)

_SECOND_NIR_SHARE = 0.03
_TWIN_SHARE = 0.012
_UNKNOWN_HOME_SHARE = 0.004
RARE_LOWEST, RARE_HIGHEST = 4, 9
"""Patients of one rare disease at one hospital: fewer than 11, also with one unknown patient beside them, while three
hospitals together have at least 12."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is settled before any block: the hospitals, whom they serve, and who has a rare disease."""

    persons: int
    hospitals: int
    seed: int
    home_of_region: Ints
    rare_person: Ints
    rare_disease: Ints
    rare_hospital: Ints


@dataclass(frozen=True, slots=True)
class People:
    """The people of one block, position by position; days count from the start of the world.

    ``present`` and ``gone`` bound the days on which care can happen. ``illness`` has a column for each of ILLNESSES,
    ``listed`` says for which of them the person has the status of a long-term illness (ALD), ``ald`` whether for any.
    ``second_nir`` is the position of a second BEN_NIR_PSA in ``nir``, used from ``nir_change`` on, or -1.
    """

    first: int
    sex: Ints
    birth: Ints
    birth_year: Ints
    birth_month: Ints
    departement: Ints
    home_known: Bools
    home: Ints
    illness: Bools
    death: Ints
    present: Ints
    gone: Ints
    twin: Bools
    regime: Ints
    poor: Bools
    listed: Bools
    ald: Bools
    rare_disease: Ints
    rare_hospital: Ints
    second_nir: Ints
    nir_change: Ints
    nir: pa.Array
    idt: pa.Array

    def __len__(self) -> int:
        return len(self.sex)

    def age_at(self, who: Ints, day: Ints) -> Ints:
        """Return completed years of ``who`` on ``day``."""
        years: Ints = ((day - self.birth[who]) / 365.25).astype(np.int32)
        return years

    def nir_at(self, who: Ints, day: Ints) -> Ints:
        """Return positions in ``nir``: the BEN_NIR_PSA that ``who`` is known by on ``day``."""
        second = self.second_nir[who]
        return np.where((second >= 0) & (day >= self.nir_change[who]), second, who).astype(np.int32)

    def has(self, name: str) -> Bools:
        """Return who has an illness."""
        column: Bools = self.illness[:, ILLNESS_INDEX[name]]
        return column


def plan_world(persons: int, hospitals: int, seed: int) -> Plan:
    """Settle what blocks share."""
    rng = np.random.default_rng([seed, 0])
    regions_with = {_region_of(HOSPITALS[h].departement): h for h in reversed(range(hospitals))}
    home = [regions_with.get(region, position % hospitals) for position, region in enumerate(REGIONS)]
    sites = hospitals * len(RARE_DISEASES)
    # In a world too small for that many patients there are fewer, but never none.
    cap = max(1, persons // (20 * sites))
    counts = np.minimum(rng.integers(RARE_LOWEST, RARE_HIGHEST + 1, size=sites), cap)
    chosen = rng.choice(persons, size=int(counts.sum()), replace=False)
    site = np.repeat(np.arange(sites), counts)
    order = np.argsort(chosen, kind="stable")
    return Plan(
        persons,
        hospitals,
        seed,
        np.array(home, dtype=np.int32),
        chosen[order],
        (site % len(RARE_DISEASES))[order],
        (site // len(RARE_DISEASES))[order],
    )


def draw_people(rng: np.random.Generator, plan: Plan, first: int, last: int) -> People:
    """Draw the people numbered ``first`` to ``last`` (exclusive)."""
    n = last - first
    rare_disease, rare_hospital = _rare(plan, first, last)
    rare = rare_disease >= 0
    age = _ages(rng, n)
    for position, disease in enumerate(RARE_DISEASES):
        affected = rare_disease == position
        drawn = np.clip(rng.normal(disease.mean_age, disease.sd_age, size=n), 5, 85).astype(np.int64)
        age = np.where(affected, drawn, age)
    # More men than women are born, more women than men grow old.
    female: Floats = np.interp(age, (0, 40, 65, 80, 95), (0.488, 0.503, 0.53, 0.59, 0.72))
    sex = np.where(rng.random(n) < female, 2, 1).astype(np.int32)
    birth_year = (END_YEAR - age).astype(np.int32)
    birth_month = rng.integers(1, 13, size=n).astype(np.int32)
    birth = day_of(birth_year, birth_month, rng.integers(1, 29, size=n))
    weights = np.array([d.population for d in DEPARTEMENTS], dtype=np.float64)
    departement = _choose(rng, weights, n)
    region_of = np.array([REGIONS.index(d.region) for d in DEPARTEMENTS], dtype=np.int32)
    illness = _illnesses(rng, age, sex)
    listed: Bools = illness & (rng.random(illness.shape, dtype=np.float32) < _ALD_SHARES)
    death = np.where(rare, NEVER, _deaths(rng, age, illness, birth))
    # Patients of a rare disease keep one pseudonym, so that a hospital never counts more than there are.
    second = (rng.random(n) < _SECOND_NIR_SHARE) & ~rare
    second_nir = np.where(second, n + np.cumsum(second) - 1, -1).astype(np.int32)
    identities = np.arange(first, last, dtype=np.uint64)
    # The second pseudonym of a person is drawn from numbers that are nobody's first.
    nirs = np.concatenate([identities, identities[second] + np.uint64(2**40)])
    return People(
        first=first,
        sex=sex,
        birth=birth,
        birth_year=birth_year,
        birth_month=birth_month,
        departement=departement,
        home_known=rng.random(n) >= _UNKNOWN_HOME_SHARE,
        home=plan.home_of_region[region_of[departement]],
        illness=illness,
        death=death,
        present=np.maximum(birth, 0),
        gone=np.minimum(death, DAYS),
        twin=rng.random(n) < _TWIN_SHARE,
        regime=rng.choice(np.array([1, 2, 3], dtype=np.int32), size=n, p=[0.88, 0.06, 0.06]),
        poor=(rng.random(n) < 0.11) & (age < 65),
        listed=listed,
        ald=listed.any(axis=1) | rare,
        rare_disease=rare_disease,
        rare_hospital=rare_hospital,
        second_nir=second_nir,
        nir_change=rng.integers(0, DAYS, size=n),
        nir=pseudonyms(nirs, plan.seed, 1),
        idt=pseudonyms(identities, plan.seed, 2),
    )


_ALD_SHARES = np.array([illness.ald_share for illness in ILLNESSES])


def _region_of(code: str) -> str:
    return next(d.region for d in DEPARTEMENTS if d.code == code)


def _rare(plan: Plan, first: int, last: int) -> tuple[Ints, Ints]:
    disease = np.full(last - first, -1, dtype=np.int32)
    hospital = np.full(last - first, -1, dtype=np.int32)
    lo, hi = np.searchsorted(plan.rare_person, (first, last))
    here = plan.rare_person[lo:hi] - first
    disease[here] = plan.rare_disease[lo:hi]
    hospital[here] = plan.rare_hospital[lo:hi]
    return disease, hospital


def _ages(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Draw ages at the end of the world's last year."""
    group = _choose(rng, np.array(_AGE_SHARES, dtype=np.float64), n)
    ages: npt.NDArray[np.int64] = group.astype(np.int64) * 5 + rng.integers(0, 5, size=n)
    return np.minimum(ages, _OLDEST)


def _choose(rng: np.random.Generator, weights: Floats, n: int) -> npt.NDArray[np.int32]:
    """Draw positions with probabilities proportional to ``weights``."""
    total = np.cumsum(weights)
    drawn: npt.NDArray[np.int32] = np.searchsorted(total / total[-1], rng.random(n), side="right").astype(np.int32)
    return np.minimum(drawn, np.int32(len(weights) - 1))


def _illnesses(rng: np.random.Generator, age: Ints, sex: Ints) -> Bools:
    flags = np.zeros((len(age), len(ILLNESSES)), dtype=np.bool_)
    for position, illness in enumerate(ILLNESSES):
        chance = np.interp(age, ANCHOR_AGES, illness.prevalence) / 1000
        chance *= np.where(sex == 1, illness.male, illness.female)
        for cause, effect, factor in COMORBIDITIES:
            if effect == illness.name:
                chance *= np.where(flags[:, ILLNESS_INDEX[cause]], factor, 1.0)
        flags[:, position] = rng.random(len(age)) < np.minimum(chance, 0.9)
    # Nobody has both kinds of diabetes.
    flags[:, ILLNESS_INDEX["diabetes_2"]] &= ~flags[:, ILLNESS_INDEX["diabetes_1"]]
    return flags


def _deaths(rng: np.random.Generator, age: Ints, illness: Bools, birth: Ints) -> Ints:
    """Draw the day of death: Gompertz's law of the age, times the hazards of illnesses."""
    hazard = 1.6e-5 * np.exp(0.094 * np.maximum(age - (END_YEAR - START_YEAR) / 2, 0))
    for position, kind in enumerate(ILLNESSES):
        if kind.hazard != 1.0:
            hazard *= np.where(illness[:, position], kind.hazard, 1.0)
    day = np.maximum(birth, 0) + (rng.exponential(1.0, size=len(age)) / hazard * 365.25)
    return np.where(day < DAYS, day, NEVER).astype(np.int64)
