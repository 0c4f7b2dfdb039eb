"""Chronic illnesses: how common by age and sex, which long-term illness (ALD) they are, what they do to a person.

Prevalences are rounded orders of magnitude for a plausible world, never to be cited.
"""

from __future__ import annotations

from dataclasses import dataclass

ANCHOR_AGES = (0, 20, 40, 60, 75, 90)
"""Ages in years at which prevalences and rates are given; between them they are interpolated."""


@dataclass(frozen=True, slots=True)
class Illness:
    """A chronic illness. ``prevalence`` is per 1000 at ANCHOR_AGES; ``male`` and ``female`` multiply it.

    ``ald`` is the number of the long-term illness, ``ald_share`` the share of patients who have it. ``drugs`` names
    substances with the share of patients on each. ``hazard`` multiplies the death rate.
    """

    name: str
    code: str
    prevalence: tuple[float, float, float, float, float, float]
    male: float = 1.0
    female: float = 1.0
    ald: int | None = None
    ald_share: float = 0.0
    drugs: tuple[tuple[str, float], ...] = ()
    hazard: float = 1.0


@dataclass(frozen=True, slots=True)
class RareDisease:
    """A disease so rare that each hospital has fewer than eleven patients, whatever the size of the world."""

    code: str
    ald: int
    mean_age: float
    sd_age: float


ILLNESSES: tuple[Illness, ...] = (
    Illness("obesity", "E669", (20, 80, 160, 200, 180, 80)),
    Illness(
        "diabetes_2",
        "E119",
        (0, 2, 25, 120, 190, 160),
        1.25,
        0.85,
        8,
        0.85,
        (("metformin", 0.75), ("insulin_glargine", 0.22), ("gliclazide", 0.3), ("dulaglutide", 0.15)),
        1.35,
    ),
    Illness(
        "diabetes_1",
        "E109",
        (1, 4, 5, 5, 4, 2),
        ald=8,
        ald_share=0.95,
        drugs=(("insulin_aspart", 0.95), ("insulin_glargine", 0.9)),
        hazard=1.3,
    ),
    Illness(
        "hypertension",
        "I10",
        (0, 5, 80, 330, 520, 600),
        1.05,
        0.95,
        12,
        0.04,
        (("ramipril", 0.4), ("amlodipine", 0.35), ("perindopril", 0.3), ("hydrochlorothiazide", 0.15)),
        1.05,
    ),
    Illness("cholesterol", "E780", (0, 5, 60, 220, 300, 220), drugs=(("atorvastatin", 0.6), ("rosuvastatin", 0.3))),
    Illness(
        "coronary",
        "I251",
        (0, 0, 6, 50, 110, 150),
        1.6,
        0.6,
        13,
        0.85,
        (("aspirin", 0.8), ("bisoprolol", 0.6), ("atorvastatin", 0.6)),
        1.4,
    ),
    Illness(
        "heart_failure",
        "I500",
        (0, 0, 3, 15, 60, 160),
        1.1,
        0.95,
        5,
        0.7,
        (("furosemide", 0.8), ("bisoprolol", 0.5), ("ramipril", 0.4)),
        2.2,
    ),
    Illness(
        "atrial_fibrillation",
        "I489",
        (0, 0, 3, 20, 80, 160),
        1.2,
        0.85,
        5,
        0.6,
        (("apixaban", 0.6), ("bisoprolol", 0.5), ("fluindione", 0.15)),
        1.3,
    ),
    Illness("stroke", "I64", (0, 1, 5, 18, 45, 80), 1.1, 0.9, 1, 0.75, (("clopidogrel", 0.5), ("aspirin", 0.4)), 1.5),
    Illness(
        "copd", "J449", (0, 0, 10, 50, 80, 70), 1.25, 0.8, 14, 0.3, (("tiotropium", 0.55), ("salbutamol", 0.6)), 1.5
    ),
    Illness(
        "asthma",
        "J459",
        (60, 60, 50, 45, 45, 35),
        ald=14,
        ald_share=0.04,
        drugs=(("salbutamol", 0.6), ("fluticasone_salmeterol", 0.5)),
    ),
    Illness(
        "breast_cancer",
        "C509",
        (0, 0, 10, 45, 60, 60),
        0.01,
        1.9,
        30,
        0.9,
        (("letrozole", 0.35), ("tamoxifen", 0.2)),
        1.4,
    ),
    Illness("prostate_cancer", "C61", (0, 0, 1, 30, 100, 110), 1.9, 0.0, 30, 0.85, (("leuprorelin", 0.25),), 1.3),
    Illness("colorectal_cancer", "C189", (0, 0, 2, 10, 25, 35), 1.15, 0.9, 30, 0.9, (), 1.8),
    Illness("lung_cancer", "C349", (0, 0, 1, 8, 10, 6), 1.5, 0.7, 30, 0.95, (), 5.0),
    Illness("lymphoma", "C859", (0, 1, 2, 5, 8, 8), 1.1, 0.9, 30, 0.9, (), 1.8),
    Illness(
        "depression",
        "F329",
        (5, 50, 70, 80, 80, 100),
        0.7,
        1.3,
        23,
        0.12,
        (("sertraline", 0.4), ("escitalopram", 0.35)),
        1.1,
    ),
    Illness(
        "schizophrenia",
        "F209",
        (0, 5, 9, 8, 5, 3),
        1.2,
        0.85,
        23,
        0.85,
        (("risperidone", 0.5), ("olanzapine", 0.4)),
        1.6,
    ),
    Illness("alzheimer", "G309", (0, 0, 0, 3, 40, 200), 0.8, 1.15, 15, 0.7, (("memantine", 0.15),), 1.8),
    Illness("parkinson", "G20", (0, 0, 0, 4, 18, 28), 1.2, 0.85, 16, 0.8, (("levodopa", 0.85),), 1.5),
    Illness("multiple_sclerosis", "G35", (0, 0.6, 2.2, 2.5, 1.5, 0.6), 0.6, 1.4, 25, 0.9, (("interferon_beta", 0.4),)),
    Illness(
        "epilepsy",
        "G409",
        (6, 6, 7, 8, 10, 10),
        ald=9,
        ald_share=0.4,
        drugs=(("levetiracetam", 0.5), ("valproate", 0.25)),
    ),
    Illness(
        "rheumatoid_arthritis",
        "M069",
        (0, 0.5, 3, 8, 10, 9),
        0.6,
        1.4,
        22,
        0.8,
        (("methotrexate", 0.65), ("adalimumab", 0.2)),
    ),
    Illness("crohn", "K509", (0, 2, 4, 3, 2, 1), 0.9, 1.1, 24, 0.85, (("azathioprine", 0.35), ("adalimumab", 0.3))),
    Illness(
        "kidney_disease",
        "N189",
        (0, 1, 8, 30, 90, 150),
        1.1,
        0.9,
        19,
        0.25,
        (("furosemide", 0.3), ("calcium_carbonate", 0.2)),
        1.6,
    ),
    Illness("hiv", "B24", (0, 1, 4, 3, 1, 0.2), 1.4, 0.6, 7, 0.95, (("bictegravir", 0.7),)),
    Illness("hypothyroidism", "E039", (1, 8, 25, 50, 70, 70), 0.4, 1.6, drugs=(("levothyroxine", 0.9),)),
    Illness("osteoporosis", "M810", (0, 0, 3, 40, 110, 160), 0.25, 1.7, drugs=(("alendronate", 0.4),)),
)

ILLNESS_INDEX = {illness.name: position for position, illness in enumerate(ILLNESSES)}

# One illness makes another likelier: (cause, effect, factor).
COMORBIDITIES: tuple[tuple[str, str, float], ...] = (
    ("obesity", "diabetes_2", 2.5),
    ("obesity", "hypertension", 1.5),
    ("diabetes_2", "hypertension", 1.5),
    ("diabetes_2", "cholesterol", 1.6),
    ("diabetes_2", "coronary", 1.8),
    ("diabetes_2", "kidney_disease", 2.2),
    ("diabetes_1", "kidney_disease", 4.0),
    ("hypertension", "coronary", 1.4),
    ("hypertension", "stroke", 1.5),
    ("hypertension", "kidney_disease", 1.3),
    ("coronary", "heart_failure", 2.5),
    ("heart_failure", "atrial_fibrillation", 2.5),
    ("copd", "lung_cancer", 4.0),
)

RARE_DISEASES: tuple[RareDisease, ...] = (
    RareDisease("E752", 17, 38, 12),
    RareDisease("G122", 9, 63, 10),
    RareDisease("E840", 18, 22, 8),
    RareDisease("G10", 9, 50, 10),
)
