"""Makes a world: draws its people block by block and writes every holder's tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from archipel import errors
from archipel.synthetic import MIN_PERSONS, WORLD_FILE, TableSize, World
from archipel.synthetic.catalogue.places import HOSPITALS, MAX_HOSPITALS
from archipel.synthetic.files import TableFile
from archipel.synthetic.insurer import insurer_tables
from archipel.synthetic.omop import Counters, draw_outpatients, omop_tables, visits_of
from archipel.synthetic.people import Plan, draw_people, plan_world
from archipel.synthetic.pmsi import draw_acts, draw_secondary, pmsi_tables
from archipel.synthetic.reference import reference_tables
from archipel.synthetic.stays import draw_stays
from archipel.synthetic.tables import CNAM, HOSPITAL, REFERENCE, SPECS

PERSONS_PER_BLOCK = 20_000
"""A block's rows fit easily in memory (about 300,000 claims), and numpy's cost per call no longer shows."""


def make_world(directory: Path, persons: int, hospitals: int, seed: int) -> World:
    """Write the world into ``directory``, replacing a world that is there.

    Raises:
        ArchipelError: CONFIG_INVALID for a number out of range or a folder that holds something else.
    """
    _check(persons, hospitals, seed)
    _clear(directory)
    plan = plan_world(persons, hospitals, seed)
    folders = [CNAM, *(hospital.folder for hospital in HOSPITALS[:hospitals]), REFERENCE]
    for folder in folders:
        (directory / folder).mkdir(parents=True)
    with ExitStack() as stack:
        files = _files(stack, directory, hospitals)
        _append(files, REFERENCE, reference_tables(hospitals))
        _write_blocks(files, plan)
    sizes = tuple(
        TableSize(folder, table, file.rows, file.path.stat().st_size) for (folder, table), file in files.items()
    )
    # Last, so that its presence says that the world is whole.
    _describe(directory, plan)
    return World(directory, persons, hospitals, seed, sizes)


def _check(persons: int, hospitals: int, seed: int) -> None:
    if persons < MIN_PERSONS:
        raise errors.error(errors.CONFIG_INVALID, f"A world needs at least {MIN_PERSONS} persons.")
    if not 1 <= hospitals <= MAX_HOSPITALS:
        raise errors.error(errors.CONFIG_INVALID, f"The number of hospitals must be from 1 to {MAX_HOSPITALS}.")
    if seed < 0:
        raise errors.error(errors.CONFIG_INVALID, "The seed must be 0 or more.")


def _clear(directory: Path) -> None:
    """Remove the world that is in ``directory``; anything else that is there is not ours to remove."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise errors.error(errors.CONFIG_INVALID, f"{directory} is not a folder.")
    ours = {CNAM, REFERENCE, WORLD_FILE, *(hospital.folder for hospital in HOSPITALS)}
    found = {path.name for path in directory.iterdir()}
    if not found:
        return
    if WORLD_FILE not in found or found - ours:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"{directory} is not empty and holds no made-up world.",
            hint="Name an empty folder, or one that only a world was written to.",
        )
    # First, so that a half-removed world does not look whole.
    (directory / WORLD_FILE).unlink()
    for name in sorted(found - {WORLD_FILE}):
        shutil.rmtree(directory / name)


def _files(stack: ExitStack, directory: Path, hospitals: int) -> dict[tuple[str, str], TableFile]:
    holders = {CNAM: CNAM, **{h.folder: HOSPITAL for h in HOSPITALS[:hospitals]}, REFERENCE: REFERENCE}
    return {
        (folder, spec.name): stack.enter_context(TableFile(directory / folder / f"{spec.name}.parquet"))
        for folder, holder in holders.items()
        for spec in SPECS
        if spec.holder == holder
    }


def _append(files: Mapping[tuple[str, str], TableFile], folder: str, made: Mapping[str, pa.Table]) -> None:
    for name, table in made.items():
        files[folder, name].append(table)


def _write_blocks(files: Mapping[tuple[str, str], TableFile], plan: Plan) -> None:
    counters = [Counters.of(hospital) for hospital in range(plan.hospitals)]
    next_rsa = [1] * plan.hospitals
    for block, first in enumerate(range(0, plan.persons, PERSONS_PER_BLOCK)):
        rng = np.random.default_rng([plan.seed, 1, block])
        people = draw_people(rng, plan, first, min(first + PERSONS_PER_BLOCK, plan.persons))
        stays = draw_stays(rng, people, plan.hospitals)
        visitor, visited, day = draw_outpatients(rng, people, plan.hospitals)
        _append(files, CNAM, insurer_tables(rng, people, stays, plan.seed, block))
        for position, hospital in enumerate(HOSPITALS[: plan.hospitals]):
            own = stays.take(stays.hospital == position)
            acts, secondary = draw_acts(rng, own), draw_secondary(rng, own, people)
            first_rsa = next_rsa[position]
            _append(files, hospital.folder, pmsi_tables(rng, people, own, acts, secondary, hospital, first_rsa))
            out = visited == position
            visits = visits_of(rng, own, visitor[out], day[out])
            made = omop_tables(rng, people, own, visits, acts, secondary, position, first_rsa, counters[position])
            _append(files, hospital.folder, made)
            next_rsa[position] += len(own)


def _describe(directory: Path, plan: Plan) -> None:
    described = {
        spec.name: {
            "description": spec.description,
            "person_column": spec.person_column,
            "person_domain": spec.person_domain,
            "site_keys": {name: list(columns) for name, columns in spec.site_keys.items()},
            "reference": spec.holder == REFERENCE,
            "columns": {column.name: column.description for column in spec.columns},
        }
        for spec in SPECS
    }
    content = {
        "note": "Made up. Nobody in it exists.",
        "persons": plan.persons,
        "hospitals": plan.hospitals,
        "seed": plan.seed,
        "tables": described,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (directory / WORLD_FILE).write_text(text + "\n", encoding="utf-8")
