"""The small fixed world of the golden files: an insurer, three hospitals, and what they hold. Made by arithmetic alone.

Protected: ``stays`` and ``acts`` (hospitals), ``insured`` (insurer), ``registry`` (lets nothing out). Not protected:
``wards``, ``shifts``, ``transfers``, ``referrals``, ``devices`` (hospitals), ``calendar`` (insurer), ``hospitals`` (a
copy at every node), ``regions`` (a copy at the insurer only). ``clash`` is registered in two versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from planning import Shard

from archipel.schema import Column, Distribution, Form, Role, SiteKey, Table, TablePolicy

HOSPITALS = ("lille", "lyon", "nantes")
FINESS = {"lille": ("590001", "590002"), "lyon": ("690001",), "nantes": ("440001", "440002")}
REGIONS = ("ARA", "HDF", "PDL")
STAYS_A_HOSPITAL = 480

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS)
HOSPITAL_KEY = SiteKey("hospital", ("finess",))
STAY_KEY = SiteKey("stay", ("finess", "stay"))
WARD_KEY = SiteKey("ward", ("finess", "ward"))

Rows = list[tuple[Any, ...]]


def _protected(*groups: str, measures: tuple[str, ...] = ()) -> TablePolicy:
    roles = tuple((g, Role.GROUP) for g in groups) + tuple((m, Role.MEASURE) for m in measures)
    return TablePolicy(protected=True, coordinator_form=Form.AGGREGATE, roles=roles, tell_withheld_count=True)


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*part.strip().split(" ", 1)) for part in text.split(";"))


STAYS = Table(
    "Stays",
    _columns(
        "patient BIGINT; finess VARCHAR; stay BIGINT; region VARCHAR; year INTEGER; sex VARCHAR; days INTEGER; "
        "cost DECIMAL(12,2); weight DOUBLE; urgent BOOLEAN; entered DATE; diagnosis VARCHAR"
    ),
    person_column="patient",
    person_domain="patient",
    site_keys=(HOSPITAL_KEY, STAY_KEY),
    policy=_protected(
        *("finess", "region", "year", "sex", "urgent", "entered", "diagnosis", "days"),
        measures=("cost", "weight", "stay"),
    ),
)
ACTS = Table(
    "acts",
    _columns("patient BIGINT; finess VARCHAR; stay BIGINT; code VARCHAR; price DECIMAL(10,2)"),
    person_column="patient",
    person_domain="patient",
    site_keys=(HOSPITAL_KEY, STAY_KEY),
    policy=_protected("finess", "code", measures=("price", "stay")),
)
INSURED = Table(
    "insured",
    _columns("patient BIGINT; region VARCHAR; birth INTEGER; covered BOOLEAN; spent DECIMAL(14,2)"),
    person_column="patient",
    person_domain="patient",
    policy=_protected("region", "birth", "covered", measures=("spent",)),
)
REGISTRY = Table(
    "registry",
    _columns("patient BIGINT; region VARCHAR; illness VARCHAR"),
    person_column="patient",
    person_domain="patient",
    policy=TablePolicy(protected=True, coordinator_form=Form.NONE, roles=(("region", Role.GROUP),)),
)
WARDS = Table(
    "wards",
    _columns(
        "finess VARCHAR; ward VARCHAR; kind VARCHAR; beds INTEGER; load DOUBLE; budget DECIMAL(18,2); opened DATE; "
        "active BOOLEAN; flags UTINYINT; big HUGEINT; ratio FLOAT; noted TIMESTAMP; tags VARCHAR[]"
    ),
    site_keys=(HOSPITAL_KEY, WARD_KEY),
    policy=OPEN,
)
SHIFTS = Table(
    "shifts",
    _columns("finess VARCHAR; ward VARCHAR; day DATE; nurses INTEGER; note VARCHAR; hours DOUBLE"),
    site_keys=(HOSPITAL_KEY, WARD_KEY),
    policy=OPEN,
)
TRANSFERS = Table(
    "transfers",
    _columns("origin VARCHAR; target VARCHAR; day DATE; patients INTEGER"),
    site_keys=(SiteKey("hospital", ("origin",)),),
    policy=OPEN,
)
REFERRALS = Table(
    "referrals",
    _columns("finess VARCHAR; ward VARCHAR; reason VARCHAR; ticket VARCHAR"),
    site_keys=(SiteKey("ward", WARD_KEY.columns, nullable=True), SiteKey("ticket", ("ticket",), nullable=True)),
    policy=OPEN,
)
DEVICES = Table(
    "devices",
    _columns(
        "finess VARCHAR; Device VARCHAR; spec STRUCT(maker VARCHAR, size STRUCT(w INTEGER, h INTEGER)); "
        "readings INTEGER[]; attrs MAP(VARCHAR, INTEGER); parts STRUCT(id INTEGER, code VARCHAR)[]"
    ),
    policy=OPEN,
)
CALENDAR = Table("calendar", _columns("day DATE; holiday BOOLEAN; label VARCHAR"), policy=OPEN)
HOSPITAL_LIST = Table(
    "hospitals",
    _columns("finess VARCHAR; name VARCHAR; region VARCHAR; beds INTEGER"),
    distribution=Distribution.REPLICATED,
    policy=OPEN,
)
REGION_LIST = Table(
    "regions",
    _columns("region VARCHAR; label VARCHAR; density DOUBLE"),
    distribution=Distribution.REPLICATED,
    policy=OPEN,
)
CLASH = {
    "lille": Table("clash", _columns("id BIGINT; value DOUBLE"), policy=OPEN),
    "lyon": Table("clash", _columns("id BIGINT; value VARCHAR"), policy=OPEN),
}


def _stays(hospital: str) -> Rows:
    offset = HOSPITALS.index(hospital)
    rows: Rows = []
    for i in range(STAYS_A_HOSPITAL):
        finess = FINESS[hospital][i % len(FINESS[hospital])]
        rows.append(
            (
                offset * 100 + i % 160,
                finess,
                i,
                REGIONS[(i // 2) % 3],
                2022 + (i // 6) % 2,
                "FM"[(i // 12) % 2],
                None if i % 11 == 0 else (i * 7 + offset) % 23,
                f"{(i * 37) % 5000}.{i % 100:02d}",
                ((i * 13) % 97) / 7 + offset,
                None if i % 29 == 0 else i % 3 == 0,
                f"202{2 + (i // 6) % 2}-0{1 + i % 9}-1{i % 10}",
                "rare" if i in (5, 8) else ("I10", "J18", "E11")[i % 3],
            )
        )
    return rows


def _acts(hospital: str) -> Rows:
    return [
        (patient, finess, stay, ("YYYY", "DEQP", "ZBQK")[(stay + n) % 3], f"{(stay * 11 + n) % 300}.50")
        for patient, finess, stay, *_ in _stays(hospital)
        for n in range(1 + stay % 2)
    ]


def _insured() -> Rows:
    return [
        (p, REGIONS[p % 3], 1940 + (p * 7) % 60, p % 4 != 0, f"{(p * 91) % 9000}.{p % 100:02d}") for p in range(420)
    ]


def _wards(hospital: str) -> Rows:
    offset = HOSPITALS.index(hospital)
    rows: Rows = []
    for f, finess in enumerate(FINESS[hospital]):
        for i, ward in enumerate(("A", "B", "C", "D", "Ü")):
            n = offset * 10 + f * 5 + i
            rows.append(
                (
                    finess,
                    ward,
                    None if n % 7 == 3 else ("surgery", "medicine", "maternity")[n % 3],
                    None if n % 6 == 5 else 10 + (n * 5) % 17,
                    float("nan") if n == 12 else None if n % 8 == 7 else (n * 3 % 11) / 3,
                    f"{1000000 + n * 12345}.{n:02d}",
                    f"19{50 + n}-0{1 + n % 9}-01",
                    None if n == 4 else n % 4 != 0,
                    n % 16,
                    10**20 + n,
                    n / 4,
                    f"2023-01-{1 + n:02d} 0{n % 10}:30:00",
                    [] if n % 5 == 0 else [ward.lower(), None] if n % 5 == 1 else ["x", "y"],
                )
            )
    return rows


def _shifts(hospital: str) -> Rows:
    return [
        (finess, ward, f"2023-03-0{1 + d}", None if (d + i) % 5 == 0 else 2 + (d * 3 + i) % 6, "", 7.5 + d / 3)
        for finess in FINESS[hospital]
        for i, ward in enumerate(("A", "B", "C", "E"))
        for d in range(5)
    ]


def _transfers(hospital: str) -> Rows:
    targets = [f for found in FINESS.values() for f in found] + ["999999"]
    return [
        (origin, target, f"2023-03-0{1 + n}", n + i)
        for i, origin in enumerate(FINESS[hospital])
        for n, target in enumerate(targets)
        if target != origin
    ]


def _referrals(hospital: str) -> Rows:
    wards = ("A", "C", None)
    return [
        (f, wards[(i + n) % 3], "fall" if n % 2 else "pain", None if n % 3 == 0 else f"{f}-{n % 4}")
        for i, f in enumerate(FINESS[hospital])
        for n in range(7)
    ]


def _devices(hospital: str) -> Rows:
    offset = HOSPITALS.index(hospital)
    return [
        (
            FINESS[hospital][0],
            f"d{offset}{n}",
            None if n == 3 else f"{{'maker': m{(n + offset) % 2}, 'size': {{'w': {n}, 'h': {n * offset}}}}}",
            None if n == 2 else [str(n * 3 + offset), None, str(n)][: n + 1],
            f"{{a={n}, b={offset}}}",
            f"[{{'id': {n}, 'code': c{offset}}}]",
        )
        for n in range(4)
    ]


def _calendar() -> Rows:
    return [(f"2023-03-0{1 + d}", d in (2, 5), f"day {d}") for d in range(8)]


def _hospitals() -> Rows:
    known = [(f, f"CH {f}", REGIONS[i % 3], 100 * (i + 1)) for i, f in enumerate(sum(FINESS.values(), ()))]
    return [*known, ("750001", "closed", None, None)]


def _regions() -> Rows:
    return [("ARA", "Auvergne-Rhône-Alpes", 117.5), ("HDF", "Hauts-de-France", 188.0), ("BRE", "Bretagne", 125.25)]


def _shard(table: Table, rows: Rows) -> Shard:
    columns = [[row[i] for row in rows] for i in range(len(table.columns))]
    arrays = [_array(values, column.type) for values, column in zip(columns, table.columns, strict=True)]
    counted = Table(
        table.name,
        table.columns,
        table.distribution,
        person_column=table.person_column,
        person_domain=table.person_domain,
        site_keys=table.site_keys,
        policy=table.policy,
        approximate_rows=len(rows),
        approximate_bytes=50 * len(rows),
    )
    return Shard(counted, pa.table(arrays, names=[c.name for c in table.columns]))


def _array(values: list[Any], kind: str) -> pa.Array:
    plain: dict[str, pa.DataType] = {"DOUBLE": pa.float64(), "FLOAT": pa.float32(), "BOOLEAN": pa.bool_()}
    if kind.endswith("[]") and "(" not in kind:
        return pa.array(values, pa.list_(pa.string()))
    if kind in plain:
        return pa.array(values, plain[kind])
    # The database casts: dates, decimals and large integers are written as text here.
    return pa.array([None if v is None else str(v) for v in values], pa.string())


def shards() -> dict[str, list[Shard]]:
    """Return what every node of the world holds."""
    at_hospitals: tuple[tuple[Table, Callable[[str], Rows]], ...] = (
        (STAYS, _stays),
        (ACTS, _acts),
        (WARDS, _wards),
        (SHIFTS, _shifts),
        (TRANSFERS, _transfers),
        (REFERRALS, _referrals),
        (DEVICES, _devices),
    )
    found: dict[str, list[Shard]] = {
        "cnam": [
            _shard(INSURED, _insured()),
            _shard(REGISTRY, [(1, "ARA", "x")]),
            _shard(CALENDAR, _calendar()),
            _shard(HOSPITAL_LIST, _hospitals()),
            _shard(REGION_LIST, _regions()),
        ]
    }
    for hospital in HOSPITALS:
        found[hospital] = [_shard(table, made(hospital)) for table, made in at_hospitals]
        found[hospital].append(_shard(HOSPITAL_LIST, _hospitals()))
        if hospital in CLASH:
            found[hospital].append(_shard(CLASH[hospital], []))
    return found
