"""Draws what CNAM reimbursed for a block: services, acts, drugs and their regularisations, as lines of statements.

A statement (décompte) gathers the lines of one person, one provider and one day. Lines carry the nine-column key.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from archipel.synthetic.arrays import Bools, Floats, Ints
from archipel.synthetic.calendar import DAYS, first_of_month, months_of, season
from archipel.synthetic.catalogue.care import ACTS, ACTS_YEARLY, HOSPITAL_CONSULTATION, PHARMACY_NATURES, SERVICES
from archipel.synthetic.catalogue.drugs import ACUTE_DRUGS, BOXES, SUBSTANCE_INDEX
from archipel.synthetic.catalogue.illnesses import ILLNESSES
from archipel.synthetic.people import People
from archipel.synthetic.stays import Stays

INFORMATION_ONLY = 71
"""DPN_QLF of lines that only inform: care in public hospitals, paid in another way."""

CANCELLED_SHARE = 0.012
REISSUED_SHARE = 0.6
DOUBLE_SHARE = 0.003
_PHARMACY_VISITS_YEARLY = 0.75
_REFILL_DAYS = 84
_REFILL_KEPT_SHARE = 0.9
_REFILL_LINE_SHARE = 0.93
_INFORMED_SHARE = 0.4

NO_DRUG = NO_ACT = NO_STAY = -1
CANCEL_ORDER, REISSUE_ORDER, DOUBLE_ORDER = 5000, 6000, 7000
"""Added to FLX_EMT_ORD of corrections, so that they differ in their key from what they correct."""

STATEMENTS_PER_BLOCK = 100_000
"""DCT_ORD_NUM of two blocks never meet: each counts from its own multiple of this, within flow and organisation."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of statements; amounts in cents. ``statement`` numbers statements within the block."""

    who: Ints
    day: Ints
    statement: Ints
    nature: Ints
    speciality: Ints
    drug: Ints
    act: Ints
    hospital: Ints
    quantity: Ints
    unit_price: Ints
    excess: Ints
    rate: Ints
    qualifier: Ints

    def __len__(self) -> int:
        return len(self.who)

    def take(self, chosen: Ints | Bools) -> Lines:
        """Return some of the lines, in the order of ``chosen``."""
        return Lines(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Keys:
    """The nine-column key of each line; dates in days from the world's start, organisations as departements."""

    available: Ints
    treated: Ints
    sender_type: Ints
    sender: Ints
    order: Ints
    organisation: Ints
    statement: Ints
    line: Ints

    def take(self, chosen: Ints | Bools) -> Keys:
        """Return some of the keys, in the order of ``chosen``."""
        return Keys(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def draw_claims(rng: np.random.Generator, people: People, stays: Stays, block: int) -> tuple[Lines, Keys]:
    """Draw every line of the block, in the order in which CNAM received them."""
    parts: list[Lines] = []
    for draw in (_services, _acts, _pharmacy_visits, _refills):
        parts.append(draw(rng, people, sum(_statements(part) for part in parts)))
    parts.append(_hospital_lines(rng, stays, sum(_statements(part) for part in parts)))
    lines = _join(parts)
    lines = lines.take((lines.day >= people.present[lines.who]) & (lines.day < people.gone[lines.who]))
    lines, keys = _number(rng, people, lines, block)
    lines, keys = _correct(rng, lines, keys)
    order = np.argsort(keys.available, kind="stable")
    return lines.take(order), keys.take(order)


def _statements(lines: Lines) -> int:
    return int(lines.statement.max()) + 1 if len(lines) else 0


def _join(parts: list[Lines]) -> Lines:
    return Lines(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Lines)})


def _filled(value: int, n: int) -> Ints:
    return np.full(n, value, dtype=np.int32)


def _visits(rng: np.random.Generator, people: People, yearly: Floats, winter: float) -> tuple[Ints, Ints]:
    counts = rng.poisson(yearly * (DAYS / 365.25))
    who = np.repeat(np.arange(len(people)), counts)
    return who, np.searchsorted(season(winter), rng.random(len(who)), side="right")


def _by_age(people: People, yearly: float, ageing: float) -> Floats:
    """A yearly number that is ``ageing`` times higher at 80 than at 20, and higher by half for the long-term ill."""
    age = people.age_at(np.arange(len(people)), _filled(DAYS // 2, len(people)))
    factor = ageing ** ((age - 45) / 60)
    scaled: Floats = yearly * factor * np.where(people.ald, 1.5, 0.9)
    return scaled


def _reimbursed(rng: np.random.Generator, people: People, who: Ints, rate: Ints) -> Ints:
    """Most of what the long-term ill need is paid in full."""
    return np.where(people.ald[who] & (rng.random(len(who)) < 0.75), 100, rate).astype(np.int32)


def _services(rng: np.random.Generator, people: People, first: int) -> Lines:
    parts = []
    for service in SERVICES:
        who, day = _visits(rng, people, _by_age(people, service.yearly, service.ageing), service.winter)
        n = len(who)
        price = _filled(service.price_cents, n)
        if service.key == "consultation":
            price = np.where(day >= DAYS - 61, 2650, price)  # the general practitioner's fee rose in November 2023
        asks_more = rng.random(n) < service.excess_share
        parts.append(
            Lines(
                who=who,
                day=day,
                statement=first + np.arange(n),
                nature=_filled(service.nature, n),
                speciality=_filled(service.speciality, n),
                drug=_filled(NO_DRUG, n),
                act=_filled(NO_ACT, n),
                hospital=_filled(NO_STAY, n),
                quantity=rng.integers(1, service.max_quantity + 1, size=n).astype(np.int32),
                unit_price=price,
                excess=np.where(asks_more, rng.integers(5, 45, size=n) * 100, 0),
                rate=_reimbursed(rng, people, who, _filled(service.rate, n)),
                qualifier=_filled(0, n),
            )
        )
        first += n
    return _join(parts)


def _acts(rng: np.random.Generator, people: People, first: int) -> Lines:
    who, day = _visits(rng, people, _by_age(people, ACTS_YEARLY, 2.5), 0.0)
    n = len(who)
    weights = np.cumsum([act.outpatient for act in ACTS])
    act = np.searchsorted(weights / weights[-1], rng.random(n), side="right").clip(0, len(ACTS) - 1)
    # Mammography is for women; for men, an abdominal ultrasound.
    codes = [each.code for each in ACTS]
    for_women = np.isin(act, [codes.index("QEQK001"), codes.index("JQQM010")]) & (people.sex[who] == 1)
    act = np.where(for_women, codes.index("ZCQM008"), act).astype(np.int32)
    asks_more = rng.random(n) < 0.3
    return Lines(
        who=who,
        day=day,
        statement=first + np.arange(n),
        nature=np.array([each.nature for each in ACTS], dtype=np.int32)[act],
        speciality=_filled(6, n),
        drug=_filled(NO_DRUG, n),
        act=act,
        hospital=_filled(NO_STAY, n),
        quantity=_filled(1, n),
        unit_price=np.array([each.price_cents for each in ACTS], dtype=np.int32)[act],
        excess=np.where(asks_more, rng.integers(5, 60, size=n) * 100, 0),
        rate=_reimbursed(rng, people, who, _filled(70, n)),
        qualifier=_filled(0, n),
    )


# The boxes of a substance stand next to each other in BOXES.
_BOXES_OF = [[i for i, box in enumerate(BOXES) if box.substance == key] for key in SUBSTANCE_INDEX]
_BOX_COUNT = np.array([len(boxes) for boxes in _BOXES_OF])
_BOX_FIRST = np.array([boxes[0] for boxes in _BOXES_OF])
_BOX_PRICE = np.array([box.price_cents for box in BOXES], dtype=np.int32)
_BOX_RATE = np.array([box.rate for box in BOXES], dtype=np.int32)
_BOX_NATURE = np.array([PHARMACY_NATURES[box.rate] for box in BOXES], dtype=np.int32)
_BOX_UNITS = np.array([box.units for box in BOXES], dtype=np.int32)


def _dispensed(
    rng: np.random.Generator, people: People, who: Ints, day: Ints, statement: Ints, box: Ints, quantity: Ints
) -> Lines:
    n = len(who)
    # Some boxes cost a little more or less, as prices change.
    price = np.rint(_BOX_PRICE[box] * np.where(day > DAYS // 2, 0.98, 1.0)).astype(np.int32)
    return Lines(
        who=who,
        day=day,
        statement=statement,
        nature=_BOX_NATURE[box],
        speciality=_filled(50, n),
        drug=box.astype(np.int32),
        act=_filled(NO_ACT, n),
        hospital=_filled(NO_STAY, n),
        quantity=quantity.astype(np.int32),
        unit_price=price,
        excess=_filled(0, n),
        rate=_reimbursed(rng, people, who, _BOX_RATE[box]),
        qualifier=_filled(0, n),
    )


def _pharmacy_visits(rng: np.random.Generator, people: People, first: int) -> Lines:
    """Drugs for passing complaints: one to four a visit, antibiotics mostly in winter."""
    visitor, visit_day = _visits(rng, people, _by_age(people, _PHARMACY_VISITS_YEARLY, 1.6), 0.3)
    drugs = 1 + rng.binomial(3, 0.28, size=len(visitor))
    visit = np.repeat(np.arange(len(visitor)), drugs)
    who, day = visitor[visit], visit_day[visit]
    weights = np.array([weight for _, weight, _ in ACUTE_DRUGS])
    winter = np.array([amplitude for _, _, amplitude in ACUTE_DRUGS])
    chosen = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(len(who)), side="right")
    chosen = chosen.clip(0, len(weights) - 1)
    # What is out of season is replaced by the first drug of the list.
    wave = np.cos((day - 15) * (2 * np.pi / 365.25))
    in_season = rng.random(len(who)) * (1 + np.abs(winter[chosen])) < 1 + winter[chosen] * wave
    chosen = np.where(in_season, chosen, 0)
    contraceptive = [key for key, _, _ in ACUTE_DRUGS].index("levonorgestrel")
    age = people.age_at(who, day)
    unfit = (chosen == contraceptive) & ((people.sex[who] == 1) | (age < 15) | (age > 50))
    chosen = np.where(unfit, 0, chosen)
    substance = np.array([SUBSTANCE_INDEX[key] for key, _, _ in ACUTE_DRUGS])[chosen]
    box = _BOX_FIRST[substance] + (rng.random(len(who)) * _BOX_COUNT[substance]).astype(np.int64)
    quantity = 1 + rng.binomial(2, 0.2, size=len(who))
    return _dispensed(rng, people, who, day, first + visit, box, quantity)


def _refills(rng: np.random.Generator, people: People, first: int) -> Lines:
    """Treatments of chronic illnesses, fetched together every twelve weeks, with gaps."""
    patients, substances = [], []
    for position, illness in enumerate(ILLNESSES):
        ill = np.flatnonzero(people.illness[:, position])
        for key, share in illness.drugs:
            mine = ill[rng.random(len(ill)) < share]
            patients.append(mine)
            substances.append(np.full(len(mine), SUBSTANCE_INDEX[key]))
    patient, substance = np.concatenate(patients), np.concatenate(substances)
    # Two illnesses may call for the same drug: it is taken once.
    pairs = np.unique(patient.astype(np.int64) * len(SUBSTANCE_INDEX) + substance)
    patient, substance = pairs // len(SUBSTANCE_INDEX), pairs % len(SUBSTANCE_INDEX)
    box = _BOX_FIRST[substance] + (rng.random(len(pairs)) * _BOX_COUNT[substance]).astype(np.int64)
    start = rng.integers(-_REFILL_DAYS, _REFILL_DAYS, size=len(people))
    turns = DAYS // _REFILL_DAYS + 2
    row, turn = np.divmod(np.arange(len(pairs) * turns), turns)
    jitter = (people.first + patient[row] * 31 + turn * 17) % 11 - 5  # the same for all drugs of a visit
    day = start[patient[row]] + turn * _REFILL_DAYS + jitter
    missed = rng.random((len(people), turns)) > _REFILL_KEPT_SHARE
    keep = (day >= 0) & (day < DAYS) & ~missed[patient[row], turn] & (rng.random(len(row)) < _REFILL_LINE_SHARE)
    row, turn, day = row[keep], turn[keep], day[keep]
    who = patient[row]
    # Enough boxes for twelve weeks.
    quantity = np.clip(np.ceil(_REFILL_DAYS / np.maximum(_BOX_UNITS[box[row]], 28)), 1, 3)
    statement = first + who * turns + turn
    return _dispensed(rng, people, who, day, statement, box[row], quantity)


def _hospital_lines(rng: np.random.Generator, stays: Stays, first: int) -> Lines:
    """Lines that tell CNAM of care in public hospitals for information only."""
    told = np.flatnonzero(rng.random(len(stays)) < _INFORMED_SHARE)
    n = len(told)
    return Lines(
        who=stays.who[told],
        day=stays.entry[told],
        statement=first + np.arange(n),
        nature=_filled(HOSPITAL_CONSULTATION, n),
        speciality=_filled(4, n),
        drug=_filled(NO_DRUG, n),
        act=_filled(NO_ACT, n),
        hospital=stays.hospital[told].astype(np.int32),
        quantity=_filled(1, n),
        unit_price=rng.integers(23, 60, size=n).astype(np.int32) * 100,
        excess=_filled(0, n),
        rate=_filled(70, n),
        qualifier=_filled(INFORMATION_ONLY, n),
    )


def _number(rng: np.random.Generator, people: People, lines: Lines, block: int) -> tuple[Lines, Keys]:
    """Give each line its key: statements are numbered within the month's flow of their organisation."""
    lines = lines.take(np.argsort(lines.statement, kind="stable"))
    _, starts, statement, sizes = np.unique(lines.statement, return_index=True, return_inverse=True, return_counts=True)
    day, who = lines.day[starts], lines.who[starts]
    treated = day + 2 + rng.gamma(1.6, 7.0, size=len(starts)).astype(np.int64)
    available = first_of_month(months_of(treated) + 1)
    organisation = people.departement[who].astype(np.int64)
    flow = available * 1000 + organisation
    order = np.argsort(flow, kind="stable")
    runs = np.flatnonzero(np.concatenate([[True], flow[order][1:] != flow[order][:-1]])) if len(order) else order
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(runs, np.diff(np.concatenate([runs, [len(order)]])))
    keys = Keys(
        available=available[statement],
        treated=treated[statement],
        sender_type=np.where(people.regime[who] == 2, 2, 1)[statement],
        sender=(organisation % 40 + 1)[statement],
        order=(1 + treated % 400)[statement],
        organisation=organisation[statement],
        statement=(block * STATEMENTS_PER_BLOCK + 1 + rank)[statement],
        line=np.arange(len(lines)) - np.repeat(starts, sizes) + 1,
    )
    return lines, keys


def _correct(rng: np.random.Generator, lines: Lines, keys: Keys) -> tuple[Lines, Keys]:
    """Add cancellations (a month later, negative), what was issued again, and what was billed twice."""
    drugs = lines.drug >= 0
    cancelled = np.flatnonzero(drugs & (rng.random(len(lines)) < CANCELLED_SHARE))
    reissued = cancelled[rng.random(len(cancelled)) < REISSUED_SHARE]
    doubled = np.flatnonzero(rng.random(len(lines)) < DOUBLE_SHARE)
    parts = [
        (lines, keys),
        _copied(lines, keys, cancelled, sign=-1, months=1, order=CANCEL_ORDER),
        _copied(lines, keys, reissued, sign=1, months=1, order=REISSUE_ORDER),
        _copied(lines, keys, doubled, sign=1, months=0, order=DOUBLE_ORDER),
    ]
    joined = {f.name: np.concatenate([getattr(part[1], f.name) for part in parts]) for f in fields(Keys)}
    return _join([part[0] for part in parts]), Keys(**joined)


def _copied(lines: Lines, keys: Keys, chosen: Ints, *, sign: int, months: int, order: int) -> tuple[Lines, Keys]:
    line, key = lines.take(chosen), keys.take(chosen)
    values = {f.name: getattr(line, f.name) for f in fields(Lines)}
    values["quantity"] = line.quantity * sign
    values["excess"] = line.excess * sign
    moved = {f.name: getattr(key, f.name) for f in fields(Keys)}
    moved["available"] = first_of_month(months_of(key.available) + months)
    moved["treated"] = key.treated + 31 * months
    moved["order"] = key.order + order
    return Lines(**values), Keys(**moved)
