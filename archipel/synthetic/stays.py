"""Draws the hospital stays of a block: who, where, when, how long, why. PMSI, OMOP and CNAM all tell of these."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from archipel.synthetic.arrays import Bools, Floats, Ints
from archipel.synthetic.calendar import DAYS, season
from archipel.synthetic.catalogue.diagnoses import INDEX
from archipel.synthetic.catalogue.illnesses import ANCHOR_AGES, ILLNESS_INDEX, ILLNESSES, RARE_DISEASES
from archipel.synthetic.catalogue.stay_kinds import NEWBORN, PALLIATIVE, STAY_KINDS, StayKind
from archipel.synthetic.people import People

RARE_KINDS = tuple(
    StayKind(f"rare_{d.code}", ((d.code, 1),), (0, 0, 0, 0, 0, 0), "01M11", 6, 0.3, drugs=("paracetamol",))
    for d in RARE_DISEASES
)
KINDS: tuple[StayKind, ...] = (*STAY_KINDS, NEWBORN, PALLIATIVE, *RARE_KINDS)
"""Every kind of stay; the first ``len(STAY_KINDS)`` happen by rate, the others for a cause of their own."""
_NEWBORN = len(STAY_KINDS)
_PALLIATIVE = _NEWBORN + 1
_FIRST_RARE = _NEWBORN + 2

_ELSEWHERE_SHARE = 0.25
_DEATHS_IN_HOSPITAL_SHARE = 0.5
_NO_DIAGNOSIS = -1

ILLNESS_CODE = np.array([INDEX[illness.code] for illness in ILLNESSES], dtype=np.int32)
SESSION = np.array([kind.session for kind in KINDS])
EMERGENCY = np.array([kind.emergency for kind in KINDS])
_READMISSION = np.array([kind.readmission for kind in KINDS])


@dataclass(frozen=True, slots=True)
class Stays:
    """Stays, position by position: ``who`` is a position in the block's People, days count from the world's start."""

    who: Ints
    kind: Ints
    hospital: Ints
    entry: Ints
    exit: Ints
    diagnosis: Ints
    related: Ints
    died: Bools

    def __len__(self) -> int:
        return len(self.who)

    def take(self, chosen: Ints | Bools) -> Stays:
        """Return some of the stays, in the order of ``chosen``."""
        return Stays(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def draw_stays(rng: np.random.Generator, people: People, hospitals: int) -> Stays:
    """Draw every stay that ends within the world, in the order of hospital, last day and person."""
    chances = _chances(people)
    parts = [_by_rate(rng, people, chances, hospitals), _newborns(rng, people, hospitals), _rare(rng, people)]
    parts.append(_last_stays(rng, people, chances, hospitals))
    stays = _join(parts)
    again = _readmissions(rng, stays)
    stays = _join([stays, again, _readmissions(rng, again)])
    stays = _end_with_life(stays, people)
    stays = stays.take((stays.entry >= people.present[stays.who]) & (stays.exit < DAYS) & (stays.entry <= stays.exit))
    stays = _diagnose(rng, stays, people)
    return stays.take(np.lexsort((stays.entry, stays.who, stays.exit, stays.hospital)))


def _chances(people: People) -> Floats:
    """Return the cumulative yearly rates of kinds, a row for each person."""
    age = people.age_at(np.arange(len(people)), np.full(len(people), DAYS // 2))
    rates = np.zeros((len(people), len(STAY_KINDS)), dtype=np.float32)
    for position, kind in enumerate(STAY_KINDS):
        rate = np.interp(age, ANCHOR_AGES, kind.rates) / 1000
        rate *= np.where(people.sex == 1, kind.male, kind.female)
        factor = np.zeros(len(people)) if kind.only else np.ones(len(people))
        for name, weight in kind.illnesses:
            factor += people.has(name) * (weight if kind.only else weight - 1)
        rates[:, position] = rate * factor * ((age >= kind.ages[0]) & (age <= kind.ages[1]))
    return np.cumsum(rates, axis=1)


def _by_rate(rng: np.random.Generator, people: People, chances: Floats, hospitals: int) -> Stays:
    counts = rng.poisson(chances[:, -1].astype(np.float64) * (DAYS / 365.25))
    who = np.repeat(np.arange(len(people)), counts)
    kind = _kinds(rng, chances, who)
    entry = np.empty(len(who), dtype=np.int64)
    for position, each in enumerate(STAY_KINDS):
        mine = np.flatnonzero(kind == position)
        entry[mine] = np.searchsorted(season(each.winter), rng.random(len(mine)), side="right")
    keep = (entry >= people.present[who]) & (entry < people.gone[who])
    who, kind, entry = who[keep], kind[keep], entry[keep]
    return _stays(rng, people, who, kind, entry, _where(rng, people, who, hospitals))


def _kinds(rng: np.random.Generator, chances: Floats, who: Ints) -> Ints:
    drawn = rng.random(len(who), dtype=np.float32) * chances[who, -1]
    kind: Ints = (chances[who] <= drawn[:, None]).sum(axis=1)
    return kind.clip(0, len(STAY_KINDS) - 1)


def _where(rng: np.random.Generator, people: People, who: Ints, hospitals: int) -> Ints:
    away = rng.random(len(who)) < _ELSEWHERE_SHARE
    return np.where(away, rng.integers(0, hospitals, size=len(who)), people.home[who])


def _lengths(rng: np.random.Generator, kind: Ints) -> Ints:
    mean = np.array([each.days for each in KINDS])[kind]
    day_share = np.array([each.day_share for each in KINDS])[kind]
    nights = np.maximum(np.rint(rng.gamma(1.7, 1.0, size=len(kind)) * mean / 1.7), 1).astype(np.int64)
    return np.where(rng.random(len(kind)) < day_share, 0, nights)


def _stays(rng: np.random.Generator, people: People, who: Ints, kind: Ints, entry: Ints, hospital: Ints) -> Stays:
    nobody = np.full(len(who), _NO_DIAGNOSIS, dtype=np.int32)
    return Stays(
        who=who,
        kind=kind,
        hospital=hospital,
        entry=entry,
        exit=entry + _lengths(rng, kind),
        diagnosis=nobody,
        related=nobody,
        died=np.zeros(len(who), dtype=np.bool_),
    )


def _newborns(rng: np.random.Generator, people: People, hospitals: int) -> Stays:
    who = np.flatnonzero((people.birth >= 0) & (people.birth < DAYS))
    kind = np.full(len(who), _NEWBORN)
    return _stays(rng, people, who, kind, people.birth[who], _where(rng, people, who, hospitals))


def _rare(rng: np.random.Generator, people: People) -> Stays:
    """One to four stays at the one hospital that treats the disease in this person."""
    affected = np.flatnonzero(people.rare_disease >= 0)
    who = np.repeat(affected, rng.integers(1, 5, size=len(affected)))
    kind = people.rare_disease[who] + _FIRST_RARE
    # Long enough before the end for every such stay to end within the world.
    entry = rng.integers(0, DAYS - 120, size=len(who))
    return _stays(rng, people, who, kind, entry, people.rare_hospital[who])


def _last_stays(rng: np.random.Generator, people: People, chances: Floats, hospitals: int) -> Stays:
    """Half of those who die do so in hospital."""
    dying = (people.death < DAYS) & (rng.random(len(people)) < _DEATHS_IN_HOSPITAL_SHARE)
    who = np.flatnonzero(dying)
    kind = np.where(rng.random(len(who)) < 0.15, _PALLIATIVE, _kinds(rng, chances, who))
    kind = np.where(SESSION[kind], _PALLIATIVE, kind)
    length = np.maximum(_lengths(rng, kind), 1)
    entry = np.maximum(people.death[who] - length, people.present[who])
    stays = _stays(rng, people, who, kind, entry, _where(rng, people, who, hospitals))
    return replace(stays, exit=people.death[who])


def _readmissions(rng: np.random.Generator, stays: Stays) -> Stays:
    """Some patients come back to the same hospital within a month, for the same reason."""
    back = stays.take(rng.random(len(stays)) < _READMISSION[stays.kind])
    wait = 1 + np.minimum(rng.exponential(11.0, size=len(back)), 45).astype(np.int64)
    entry = back.exit + wait
    return replace(back, entry=entry, exit=entry + _lengths(rng, back.kind))


def _end_with_life(stays: Stays, people: People) -> Stays:
    death = people.death[stays.who]
    died = (stays.exit >= death) & (stays.entry <= death)
    return replace(stays, exit=np.where(stays.entry <= death, np.minimum(stays.exit, death), -1), died=died)


def _join(parts: list[Stays]) -> Stays:
    return Stays(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Stays)})


def _diagnose(rng: np.random.Generator, stays: Stays, people: People) -> Stays:
    diagnosis = np.full(len(stays), _NO_DIAGNOSIS, dtype=np.int32)
    related = diagnosis.copy()
    drawn = rng.random(len(stays))
    for position, kind in enumerate(KINDS):
        mine = np.flatnonzero(stays.kind == position)
        if not len(mine):
            continue
        codes = np.array([INDEX[code] for code, _ in kind.diagnoses], dtype=np.int32)
        weights = np.cumsum([weight for _, weight in kind.diagnoses])
        diagnosis[mine] = codes[
            np.searchsorted(weights / weights[-1], drawn[mine], side="right").clip(0, len(codes) - 1)
        ]
        if kind.own or kind.session:
            own = _own_illness(people, stays.who[mine], kind, drawn[mine])
            if kind.own:
                diagnosis[mine] = own
            else:
                related[mine] = own
    return replace(stays, diagnosis=diagnosis, related=related)


def _own_illness(people: People, who: Ints, kind: StayKind, drawn: Floats) -> Ints:
    """Choose, among the patient's illnesses that the kind is about, the one this stay is for."""
    columns = np.array([ILLNESS_INDEX[name] for name, _ in kind.illnesses])
    weights = np.cumsum(people.illness[np.ix_(who, columns)] * [weight for _, weight in kind.illnesses], axis=1)
    place = (weights <= drawn[:, None] * weights[:, -1:]).sum(axis=1).clip(0, len(columns) - 1)
    code: Ints = ILLNESS_CODE[columns[place]]
    return code
