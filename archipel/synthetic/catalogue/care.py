"""Care outside drugs: kinds of reimbursed service (PRS_NAT_REF), CCAM acts, laboratory measurements."""

from __future__ import annotations

from dataclasses import dataclass

from archipel.synthetic.catalogue.diagnoses import LOCAL_PROCEDURE


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of reimbursed service: nature code, yearly number a person, price in cents, rate, speciality, quantity.

    ``ageing`` is how many times more often somebody of 80 has it than somebody of 20.
    """

    key: str
    nature: int
    yearly: float
    price_cents: int
    rate: int
    speciality: int
    ageing: float = 1.0
    max_quantity: int = 1
    excess_share: float = 0.0
    winter: float = 0.0


# 3311, 3312, 3313 and 3341 are pharmacy at 100, 30, 65 and 15 %.
PHARMACY_NATURES = {100: 3311, 30: 3312, 65: 3313, 15: 3341}

SERVICES: tuple[Service, ...] = (
    Service("consultation", 1111, 0.95, 2500, 70, 1, 2.5, winter=0.25),
    Service("home_visit", 1211, 0.06, 3500, 70, 1, 12.0, winter=0.2),
    Service("specialist", 1112, 0.40, 4200, 70, 5, 2.0, excess_share=0.45),
    Service("biology", 3211, 0.35, 2835, 60, 38, 4.0, max_quantity=3),
    Service("nurse", 3111, 0.20, 630, 60, 24, 8.0, max_quantity=5),
    Service("physiotherapy", 3125, 0.10, 1613, 60, 26, 3.0, max_quantity=10),
)
ACT_NATURE_IMAGING, ACT_NATURE_ECHOGRAPHY, ACT_NATURE_SURGERY, ACT_NATURE_TECHNICAL = 1351, 1324, 1321, 1352
ACTS_YEARLY = 0.30
HOSPITAL_CONSULTATION = 1112


@dataclass(frozen=True, slots=True)
class Act:
    """A CCAM act; ``outpatient`` is how often it is done in town relative to the others, price in cents."""

    code: str
    label: str
    nature: int
    price_cents: int
    outpatient: float = 0.0


ACTS: tuple[Act, ...] = (
    Act("DEQP003", "Électrocardiographie sur au moins 12 dérivations", ACT_NATURE_TECHNICAL, 1426, 20),
    Act("ZBQK002", "Radiographie du thorax", ACT_NATURE_IMAGING, 2128, 15),
    Act("ACQK001", "Scanographie du crâne, sans injection", ACT_NATURE_IMAGING, 2527, 4),
    Act("ACQN001", "IRM du crâne, sans injection", ACT_NATURE_IMAGING, 6900, 4),
    Act("ZBQH001", "Scanographie du thorax, avec injection", ACT_NATURE_IMAGING, 2527, 3),
    Act("ZCQM008", "Échographie transcutanée de l'abdomen", ACT_NATURE_ECHOGRAPHY, 5670, 10),
    Act("ZCQK004", "Scanographie de l'abdomen et du petit bassin, sans injection", ACT_NATURE_IMAGING, 5054, 3),
    Act("DZQM006", "Échographie-doppler du cœur", ACT_NATURE_ECHOGRAPHY, 9649, 8),
    Act("EBQM001", "Échographie-doppler des artères cervicocéphaliques", ACT_NATURE_ECHOGRAPHY, 7589, 5),
    Act("QEQK001", "Mammographie bilatérale", ACT_NATURE_IMAGING, 6642, 8),
    Act("NFQK001", "Radiographie du genou", ACT_NATURE_IMAGING, 1995, 7),
    Act("NEQK010", "Radiographie de la hanche", ACT_NATURE_IMAGING, 1995, 5),
    Act("MDQK001", "Radiographie de la main ou de doigt", ACT_NATURE_IMAGING, 1330, 6),
    Act("HBJD001", "Détartrage et polissage des dents", ACT_NATURE_TECHNICAL, 2892, 25),
    Act("GLQP012", "Mesure de la capacité vitale et de l'expiration forcée", ACT_NATURE_TECHNICAL, 3780, 4),
    Act("JQQM010", "Échographie d'une grossesse au 1er trimestre", ACT_NATURE_ECHOGRAPHY, 4829, 3),
    Act("HHQE002", "Coloscopie totale", ACT_NATURE_TECHNICAL, 19200, 3),
    Act("HEQE002", "Endoscopie œso-gastro-duodénale", ACT_NATURE_TECHNICAL, 9600, 3),
    Act("HMFC004", "Cholécystectomie, par cœlioscopie", ACT_NATURE_SURGERY, 22750),
    Act("HHFA016", "Appendicectomie", ACT_NATURE_SURGERY, 19450),
    Act("LMMC002", "Cure d'une hernie de l'aine, par vidéochirurgie", ACT_NATURE_SURGERY, 18800),
    Act("NFKA007", "Remplacement du genou par prothèse", ACT_NATURE_SURGERY, 45980),
    Act("NEKA020", "Remplacement de la hanche par prothèse totale", ACT_NATURE_SURGERY, 45940),
    Act("NBCA010", "Ostéosynthèse de fracture du col du fémur", ACT_NATURE_SURGERY, 20900),
    Act("JQGD010", "Accouchement par voie naturelle", ACT_NATURE_TECHNICAL, 31380),
    Act("JQGA004", "Accouchement par césarienne", ACT_NATURE_SURGERY, 33000),
    Act("DDQH009", "Artériographie coronaire", ACT_NATURE_IMAGING, 23058),
    Act("DDAF006", "Dilatation d'un vaisseau coronaire avec endoprothèse", ACT_NATURE_SURGERY, 32250),
    Act("JVJF004", "Séance d'hémodialyse", ACT_NATURE_TECHNICAL, 4320),
    Act("GLLD017", "Oxygénothérapie, par 24 heures", ACT_NATURE_TECHNICAL, 0),
    Act("GLLD015", "Ventilation mécanique intratrachéale, par 24 heures", ACT_NATURE_TECHNICAL, 0),
    Act("DEQP004", "Surveillance continue de l'électrocardiogramme, par 24 heures", ACT_NATURE_TECHNICAL, 0),
    Act("FELF011", "Transfusion de concentré de globules rouges", ACT_NATURE_TECHNICAL, 3800),
    Act("AFHB002", "Ponction lombaire", ACT_NATURE_TECHNICAL, 2900),
    Act("GEQE007", "Fibroscopie bronchique", ACT_NATURE_TECHNICAL, 9600),
)
ACT_INDEX = {act.code: position for position, act in enumerate(ACTS)}


def act_concept_of(position: int) -> int:
    """Return the local OMOP concept id of a CCAM act."""
    return LOCAL_PROCEDURE + position


@dataclass(frozen=True, slots=True)
class Measure:
    """A laboratory or bedside measurement: OMOP (LOINC) concept, unit concept, distribution in healthy people.

    ``share`` is how often a visit has it; ``age_slope`` is added a year above 50; ``shifts`` adds to the mean of
    people with an illness, and ``sought`` is the share of their visits that have it.
    """

    concept: int
    name: str
    loinc: str
    unit_concept: int
    unit: str
    mean: float
    sd: float
    digits: int
    low: float
    high: float
    share: float
    age_slope: float = 0.0
    shifts: tuple[tuple[str, float], ...] = ()
    sought: tuple[tuple[str, float], ...] = ()


MEASURES: tuple[Measure, ...] = (
    Measure(
        3004410,
        "Hemoglobin A1c/Hemoglobin.total in Blood",
        "4548-4",
        8554,
        "%",
        5.45,
        0.35,
        1,
        4.0,
        6.0,
        0.12,
        0.006,
        (("diabetes_2", 1.75), ("diabetes_1", 2.3), ("obesity", 0.2)),
        (("diabetes_2", 0.75), ("diabetes_1", 0.85)),
    ),
    Measure(
        3016723,
        "Creatinine [Mass/volume] in Serum or Plasma",
        "2160-0",
        8840,
        "mg/dL",
        0.88,
        0.18,
        2,
        0.5,
        1.2,
        0.55,
        0.003,
        (("kidney_disease", 1.1), ("heart_failure", 0.25)),
        (("kidney_disease", 0.9),),
    ),
    Measure(
        3004501,
        "Glucose [Mass/volume] in Serum or Plasma",
        "2345-7",
        8840,
        "mg/dL",
        95,
        14,
        0,
        70,
        110,
        0.45,
        0.15,
        (("diabetes_2", 55), ("diabetes_1", 70)),
        (("diabetes_2", 0.7), ("diabetes_1", 0.8)),
    ),
    Measure(
        3000963,
        "Hemoglobin [Mass/volume] in Blood",
        "718-7",
        8713,
        "g/dL",
        13.8,
        1.3,
        1,
        12,
        17,
        0.5,
        -0.02,
        (("kidney_disease", -1.6), ("colorectal_cancer", -1.5), ("lymphoma", -1.5)),
    ),
    Measure(
        3019550, "Sodium [Moles/volume] in Serum or Plasma", "2951-2", 8753, "mmol/L", 139.5, 3.0, 0, 135, 145, 0.5
    ),
    Measure(
        3023103,
        "Potassium [Moles/volume] in Serum or Plasma",
        "2823-3",
        8753,
        "mmol/L",
        4.2,
        0.4,
        1,
        3.5,
        5.0,
        0.5,
        0.002,
        (("kidney_disease", 0.4),),
    ),
    Measure(
        3027114,
        "Cholesterol [Mass/volume] in Serum or Plasma",
        "2093-3",
        8840,
        "mg/dL",
        195,
        35,
        0,
        120,
        200,
        0.12,
        0.0,
        (("cholesterol", 30),),
        (("cholesterol", 0.4), ("coronary", 0.5)),
    ),
    Measure(
        3004249,
        "Systolic blood pressure",
        "8480-6",
        8876,
        "mm[Hg]",
        126,
        14,
        0,
        90,
        140,
        0.7,
        0.35,
        (("hypertension", 12),),
    ),
    Measure(
        3038553,
        "Body mass index (BMI) [Ratio]",
        "39156-5",
        9531,
        "kg/m2",
        25.0,
        3.8,
        1,
        18.5,
        25,
        0.35,
        0.01,
        (("obesity", 9.0), ("diabetes_2", 2.0)),
    ),
)
