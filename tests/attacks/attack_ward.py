"""A hospital's ward to be attacked: small, made-up, the same every time, with markers planted where nothing may leak.

Every person's key, every label of a group below the threshold, every hidden value and the one extreme amount are
recognisable texts or numbers, so that a scan finds them wherever they should not be.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from archipel.demo.layout import NodeSetup, TableSetup

NODE = "chu"
OTHER_NODE = "chr"

REGIONS = {"Nord": 40, "Sud": 30, "Onze": 11, "RARE-DIX": 10, "RARE-UN": 1}
"""Persons of each region: two large ones, one just at the threshold, two below it."""

VIP = "PKEY" + hashlib.sha256(b"Nord-0").hexdigest()[:12]
"""A person of the largest region whom everybody knows something about."""
VIP_COST = Decimal("7654321.09")
VIP_DAYS = 366
VIP_BIRTH = dt.date(1900, 2, 28)
RARE_DIAGNOSIS = "RARE-Z99"
RARE_DRUG = "RARE-DRUG"
RARE_WARD = "RARE-WARD"
HIDDEN_NOTE = "MARKER-NOTE"
HIDDEN_BANK = "MARKER-BANK"
FIRST_BADGE = 900_000_000_000


def person_key(region: str, number: int) -> str:
    """Return the key of a person."""
    return "PKEY" + hashlib.sha256(f"{region}-{number}".encode()).hexdigest()[:12]


PERSONS = {person_key(region, i): region for region, count in REGIONS.items() for i in range(count)}
BADGES = tuple(FIRST_BADGE + i * 7919 for i in range(43))

MARKERS = (*PERSONS, *(str(badge) for badge in BADGES), "RARE-DIX", "RARE-UN", RARE_DIAGNOSIS, RARE_DRUG, RARE_WARD)
MARKERS += (HIDDEN_NOTE, HIDDEN_BANK, "MARKER-DIARY", "7654321.09", "765432109")
"""Texts that must be found nowhere outside the node's own folder and its data."""


_STAY_COLUMNS = {
    "person": pa.string(),
    "stay_no": pa.string(),
    "region": pa.string(),
    "year": pa.int32(),
    "sex": pa.string(),
    "days": pa.int32(),
    "cost": pa.decimal128(12, 2),
    "score": pa.float64(),
    "birth": pa.date32(),
    "diagnosis": pa.string(),
    "nationality": pa.string(),
    "note": pa.string(),
}

_STAYS_OF = {"RARE-DIX": 30, "RARE-UN": 500}
"""Few persons with many rows: counting rows would let them through."""


def _stay(index: int, person: str, region: str, number: int) -> dict[str, object]:
    return {
        "person": person,
        "stay_no": f"S{index:04}-{number:03}",
        "region": region,
        "year": 2020 + (index + number) % 3,
        "sex": "F" if index % 2 else "M",
        "days": 1 + (index * 7 + number * 3) % 20,
        "cost": Decimal(100_000 + (index * 977 + number * 131) % 50_000) / 100,
        "score": float((index * 31 + number * 17) % 97) / 7,
        "birth": dt.date(1940 + index % 60, 1 + index % 12, 1 + index % 28),
        "diagnosis": ("I50", "J45", "E11")[(index + number) % 3],
        "nationality": "FR",
        "note": f"{HIDDEN_NOTE}-{index:04}",
    }


def _stays() -> pa.Table:
    rows = [
        _stay(index, person, region, number)
        for index, (person, region) in enumerate(PERSONS.items())
        for number in range(_STAYS_OF.get(region, 3))
    ]
    rows[0] |= {"cost": VIP_COST, "days": VIP_DAYS, "birth": VIP_BIRTH, "diagnosis": RARE_DIAGNOSIS}
    return pa.Table.from_pylist(rows, schema=pa.schema(_STAY_COLUMNS))


def _drugs() -> pa.Table:
    rows = []
    for index, (person, region) in enumerate(PERSONS.items()):
        if region in {"Nord", "Sud"}:
            rows += [{"patient": person, "code": "A10" if index % 2 else "C07", "quantity": 1 + index % 4}] * 2
        if index in {3, 5, 7, 9, 11}:
            rows += [{"patient": person, "code": RARE_DRUG, "quantity": 1 + index}] * 20
    return pa.Table.from_pylist(rows)


def _registry() -> pa.Table:
    """25 persons with a common illness, 15 with one that only this holder's own threshold of 20 protects."""
    keys = list(PERSONS)
    rows = [{"person": key, "illness": "common", "stage": "I"} for key in keys[:25]]
    rows += [{"person": key, "illness": "RARE-FIFTEEN", "stage": "II"} for key in keys[25:40]]
    return pa.Table.from_pylist(rows)


def _staff() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "badge": badge,
                "ward": RARE_WARD if i >= 40 else "A",
                "grade": ("nurse", "doctor")[i % 2],
                "salary": 2_000 + i,
                "region": "Nord" if i % 2 else "Sud",
            }
            for i, badge in enumerate(BADGES)
        ]
    )


def tables() -> dict[str, pa.Table]:
    """Return all rows of the ward, by table."""
    keys = list(PERSONS)
    return {
        "stays": _stays(),
        "drugs": _drugs(),
        "registry": _registry(),
        "staff": _staff(),
        "closed": pa.table({"person": keys, "x": list(range(len(keys)))}),
        "offpermit": pa.table({"person": keys, "x": list(range(len(keys)))}),
        "diary": pa.table({"person": keys, "entry": [f"MARKER-DIARY-{i}" for i in range(len(keys))]}),
        "regions": pa.table(
            {"region": ["Nord", "Sud", "Onze", "Ailleurs"], "zone": ["N", "S", "S", "S"], "people": [4, 3, 2, 1]}
        ),
        "codes": pa.table({"code": [f"C{i:03}" for i in range(200)], "n": list(range(200))}),
        "suppliers": pa.table({"name": ["Acme", "Bolt"], "bank": [f"{HIDDEN_BANK}-1", f"{HIDDEN_BANK}-2"]}),
        "budget": pa.table({"post": ["p1", "p2"], "amount": [10, 20]}),
    }


def _aggregate(**columns: str) -> dict[str, object]:
    return {
        "protected": True,
        "coordinator": "aggregate",
        "min_persons": 11,
        "tell_withheld_count": True,
        "columns": columns,
    }


POLICIES: Mapping[str, Mapping[str, object]] = {
    "stays": _aggregate(
        stay_no="measure",
        region="group",
        year="group",
        sex="group",
        days="measure",
        cost="measure",
        score="measure",
        birth="measure",
        diagnosis="group",
        nationality="group",
        note="hidden",
        person="measure",
    ),
    "drugs": _aggregate(code="group", quantity="measure"),
    "registry": {**_aggregate(illness="group", stage="group"), "min_persons": 20, "tell_withheld_count": False},
    "staff": _aggregate(ward="group", grade="group", salary="measure", region="group"),
    "closed": {"protected": True, "coordinator": "none", "other_columns": "group"},
    "offpermit": _aggregate(x="group"),
    "diary": {},
    "regions": {"protected": False, "coordinator": "rows"},
    "codes": {"protected": False, "coordinator": "rows"},
    "suppliers": {"protected": False, "coordinator": "rows", "columns": {"bank": "hidden"}},
    "budget": {"protected": False, "coordinator": "none"},
}

PERSON_COLUMNS = {
    "stays": ("person", "insured"),
    "drugs": ("patient", "insured"),
    "registry": ("person", "insured"),
    "staff": ("badge", "staff"),
    "closed": ("person", "insured"),
    "offpermit": ("person", "insured"),
    "diary": ("person", "insured"),
}

GRANTS: Mapping[str, tuple[str, ...]] = {
    "stays": (
        *("person", "stay_no", "region", "year", "sex", "days", "cost", "score"),
        *("birth", "diagnosis", "note"),
    ),
    "drugs": ("*",),
    "registry": ("*",),
    "staff": ("badge", "ward", "grade", "region"),
    "closed": ("*",),
    "diary": ("*",),
    "regions": ("*",),
    "codes": ("*",),
    "suppliers": ("*",),
    "budget": ("*",),
}
"""What the attacker's permit names: not ``offpermit``, not ``stays.nationality``, not ``staff.salary``."""

_REPLICATED = frozenset({"regions", "codes"})


def write(directory: Path, changed: Mapping[str, pa.Table] | None = None) -> NodeSetup:
    """Write the ward's files and return the node's set-up. The registry is a CSV file, all else Parquet.

    ``changed`` are tables with other rows than the ward's own.
    """
    data, texts = directory / "data", directory / "texts"
    data.mkdir(parents=True)
    texts.mkdir()
    setups = []
    for name, rows in {**tables(), **(changed or {})}.items():
        path = texts / f"{name}.csv" if name == "registry" else data / f"{name}.parquet"
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(rows, path)
        else:
            pq.write_table(rows, path)
        person, domain = PERSON_COLUMNS.get(name, (None, None))
        setups.append(
            TableSetup(
                name=name,
                path=path,
                policy=POLICIES[name],
                person_column=person,
                person_domain=domain,
                site_keys={"stay": ["stay_no"]} if name == "stays" else {},
                distribution="replicated" if name in _REPLICATED else "sharded",
            )
        )
    return NodeSetup(NODE, "Made-up hospital", tuple(setups), {"statement_timeout_s": 5})


def raw() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB with all rows and no rule: what an honest independent computation runs on."""
    database = duckdb.connect(config={"threads": 1})
    for name, rows in tables().items():
        database.register(f"{name}_rows", rows)
        columns = (duckdb.StarExpression(), duckdb.ConstantExpression(NODE).alias("_node"))
        database.table(f"{name}_rows").project(*columns).create(name)
    return database
