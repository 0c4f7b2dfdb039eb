"""Drugs: substances with their ATC class, the boxes sold, and the OMOP ingredient for what hospitals give.

ATC codes and substances are real. The CIP numbers are made up (their check digit is right), prices are rough.
"""

from __future__ import annotations

from dataclasses import dataclass

from archipel.synthetic.catalogue.diagnoses import LOCAL_CONDITION

LOCAL_DRUG = LOCAL_CONDITION + 200_000
"""First local concept id of substances whose RxNorm ingredient is not listed here."""


@dataclass(frozen=True, slots=True)
class Substance:
    """A substance; ``concept`` is its RxNorm ingredient in OMOP."""

    key: str
    atc: str
    name: str
    concept: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """What a pharmacy sells: one strength and size of a substance; price in cents, reimbursement rate in percent."""

    cip: int
    substance: str
    strength: str
    form: str
    units: int
    price_cents: int
    rate: int


# key, ATC, name, OMOP ingredient (0: none listed), form, strengths, units, price in cents, rate
_ROWS = """
paracetamol|N02BE01|PARACETAMOL|1125315|COMPRIME|500 MG,1 G|8,16|115|65
ibuprofen|M01AE01|IBUPROFENE|1177480|COMPRIME|200 MG,400 MG|20,30|218|65
tramadol|N02AX02|TRAMADOL|1103314|GELULE|50 MG,100 MG|30|372|65
morphine|N02AA01|MORPHINE|1110410|GELULE|10 MG,30 MG|14|504|65
amoxicillin|J01CA04|AMOXICILLINE|1713332|GELULE|500 MG,1 G|12,14|345|65
amoxicillin_clavulanate|J01CR02|AMOXICILLINE ACIDE CLAVULANIQUE|0|COMPRIME|500 MG,1 G|16,24|702|65
azithromycin|J01FA10|AZITHROMYCINE|1734104|COMPRIME|250 MG,500 MG|3,6|615|65
ceftriaxone|J01DD04|CEFTRIAXONE|1777806|INJECTABLE|1 G|1|780|65
fosfomycin|J01XX01|FOSFOMYCINE|0|SACHET|3 G|1|504|65
oseltamivir|J05AH02|OSELTAMIVIR|1799139|GELULE|75 MG|10|1450|30
prednisolone|H02AB06|PREDNISOLONE|1550557|COMPRIME|5 MG,20 MG|20,30|248|65
desloratadine|R06AX27|DESLORATADINE|1103006|COMPRIME|5 MG|30|396|30
salbutamol|R03AC02|SALBUTAMOL|1154343|AEROSOL|100 MCG|1|448|65
fluticasone_salmeterol|R03AK06|SALMETEROL FLUTICASONE|0|AEROSOL|25/125 MCG,50/250 MCG|1|2489|65
tiotropium|R03BB04|TIOTROPIUM|1106776|AEROSOL|2.5 MCG|1|2988|65
omeprazole|A02BC01|OMEPRAZOLE|923645|GELULE|10 MG,20 MG|14,28|468|65
esomeprazole|A02BC05|ESOMEPRAZOLE|904453|COMPRIME|20 MG,40 MG|28|579|65
phloroglucinol|A03AX12|PHLOROGLUCINOL|0|COMPRIME|80 MG|10|215|15
diosmectite|A07BC05|DIOSMECTITE|0|SACHET|3 G|30|342|15
macrogol|A06AD15|MACROGOL|0|SACHET|10 G|20|355|30
metformin|A10BA02|METFORMINE|1503297|COMPRIME|500 MG,850 MG,1 G|30,90|612|65
gliclazide|A10BB09|GLICLAZIDE|19059796|COMPRIME|30 MG,60 MG|30,90|735|65
dulaglutide|A10BJ05|DULAGLUTIDE|45774435|INJECTABLE|0.75 MG,1.5 MG|4|8125|65
insulin_glargine|A10AE04|INSULINE GLARGINE|1502905|INJECTABLE|100 U/ML|5|4120|65
insulin_aspart|A10AB05|INSULINE ASPARTE|1567198|INJECTABLE|100 U/ML|5|3105|65
levothyroxine|H03AA01|LEVOTHYROXINE|1501700|COMPRIME|50 MCG,75 MCG,100 MCG|30,90|258|65
ramipril|C09AA05|RAMIPRIL|1334456|COMPRIME|2.5 MG,5 MG,10 MG|30,90|498|65
perindopril|C09AA04|PERINDOPRIL|1373225|COMPRIME|4 MG,8 MG|30,90|611|65
amlodipine|C08CA01|AMLODIPINE|1332418|GELULE|5 MG,10 MG|30,90|453|65
hydrochlorothiazide|C03AA03|HYDROCHLOROTHIAZIDE|974166|COMPRIME|25 MG|30|282|65
furosemide|C03CA01|FUROSEMIDE|956874|COMPRIME|20 MG,40 MG|30|248|65
bisoprolol|C07AB07|BISOPROLOL|1338005|COMPRIME|1.25 MG,5 MG,10 MG|30,90|471|65
atorvastatin|C10AA05|ATORVASTATINE|1545958|COMPRIME|10 MG,40 MG,80 MG|30,90|688|65
rosuvastatin|C10AA07|ROSUVASTATINE|1510813|COMPRIME|5 MG,10 MG|30,90|902|65
aspirin|B01AC06|ACIDE ACETYLSALICYLIQUE|1112807|SACHET|75 MG,160 MG|30|267|65
clopidogrel|B01AC04|CLOPIDOGREL|1322184|COMPRIME|75 MG|30,90|984|65
apixaban|B01AF02|APIXABAN|43013024|COMPRIME|2.5 MG,5 MG|60|5620|65
fluindione|B01AA12|FLUINDIONE|0|COMPRIME|20 MG|30|336|65
enoxaparin|B01AB05|ENOXAPARINE|1301025|INJECTABLE|4000 UI|10|3218|65
sertraline|N06AB06|SERTRALINE|739138|GELULE|25 MG,50 MG|28|512|65
escitalopram|N06AB10|ESCITALOPRAM|715939|COMPRIME|10 MG,20 MG|28|566|65
zopiclone|N05CF01|ZOPICLONE|0|COMPRIME|3.75 MG,7.5 MG|14|214|15
alprazolam|N05BA12|ALPRAZOLAM|781039|COMPRIME|0.25 MG,0.5 MG|30|189|65
risperidone|N05AX08|RISPERIDONE|735979|COMPRIME|2 MG,4 MG|30|1825|65
olanzapine|N05AH03|OLANZAPINE|785788|COMPRIME|5 MG,10 MG|28|1974|65
memantine|N06DX01|MEMANTINE|0|COMPRIME|10 MG|56|2110|15
levodopa|N04BA02|LEVODOPA BENSERAZIDE|0|GELULE|125 MG,250 MG|60|1035|65
levetiracetam|N03AX14|LEVETIRACETAM|711584|COMPRIME|250 MG,500 MG|60|2280|65
valproate|N03AG01|ACIDE VALPROIQUE|0|COMPRIME|500 MG|30|742|65
interferon_beta|L03AB07|INTERFERON BETA-1A|0|INJECTABLE|30 MCG|4|65480|65
methotrexate|L04AX03|METHOTREXATE|1305058|COMPRIME|2.5 MG,10 MG|20|895|65
adalimumab|L04AB04|ADALIMUMAB|1119119|INJECTABLE|40 MG|2|38260|65
azathioprine|L04AX01|AZATHIOPRINE|19014878|COMPRIME|50 MG|100|2340|65
letrozole|L02BG04|LETROZOLE|1315946|COMPRIME|2.5 MG|30|3845|100
tamoxifen|L02BA01|TAMOXIFENE|1436678|COMPRIME|20 MG|30,90|835|100
leuprorelin|L02AE02|LEUPRORELINE|0|INJECTABLE|11.25 MG|1|26540|100
bictegravir|J05AR20|BICTEGRAVIR EMTRICITABINE TENOFOVIR|0|COMPRIME|50/200/25 MG|30|78210|100
alendronate|M05BA04|ACIDE ALENDRONIQUE|0|COMPRIME|70 MG|4,12|1180|65
calcium_carbonate|A12AA04|CALCIUM CARBONATE|0|COMPRIME|500 MG|60|410|65
colecalciferol|A11CC05|COLECALCIFEROL|0|AMPOULE|100000 UI|1|122|65
ferrous_sulfate|B03AA07|SULFATE FERREUX|0|COMPRIME|80 MG|30,100|298|65
levonorgestrel|G03AA07|LEVONORGESTREL ETHINYLESTRADIOL|0|COMPRIME|150/30 MCG|21,63|281|65
riluzole|N07XX02|RILUZOLE|0|COMPRIME|50 MG|56|11240|65
"""

ATC_CLASSES = {
    "A02": "MEDICAMENTS POUR LES TROUBLES DE L'ACIDITE",
    "A03": "MEDICAMENTS POUR LES TROUBLES FONCTIONNELS GASTRO-INTESTINAUX",
    "A06": "MEDICAMENTS DE LA CONSTIPATION",
    "A07": "ANTIDIARRHEIQUES",
    "A10": "MEDICAMENTS DU DIABETE",
    "A11": "VITAMINES",
    "A12": "SUPPLEMENTS MINERAUX",
    "B01": "ANTITHROMBOTIQUES",
    "B03": "ANTIANEMIQUES",
    "C03": "DIURETIQUES",
    "C07": "BETABLOQUANTS",
    "C08": "INHIBITEURS CALCIQUES",
    "C09": "AGENTS AGISSANT SUR LE SYSTEME RENINE-ANGIOTENSINE",
    "C10": "AGENTS MODIFIANT LES LIPIDES",
    "G03": "HORMONES SEXUELLES",
    "H02": "CORTICOIDES A USAGE SYSTEMIQUE",
    "H03": "MEDICAMENTS DE LA THYROIDE",
    "J01": "ANTIBACTERIENS A USAGE SYSTEMIQUE",
    "J05": "ANTIVIRAUX A USAGE SYSTEMIQUE",
    "L02": "THERAPEUTIQUE ENDOCRINE",
    "L03": "IMMUNOSTIMULANTS",
    "L04": "IMMUNOSUPPRESSEURS",
    "M01": "ANTIINFLAMMATOIRES ET ANTIRHUMATISMAUX",
    "M05": "MEDICAMENTS POUR LE TRAITEMENT DES DESORDRES OSSEUX",
    "N02": "ANALGESIQUES",
    "N03": "ANTIEPILEPTIQUES",
    "N04": "ANTIPARKINSONIENS",
    "N05": "PSYCHOLEPTIQUES",
    "N06": "PSYCHOANALEPTIQUES",
    "N07": "AUTRES MEDICAMENTS DU SYSTEME NERVEUX",
    "R03": "MEDICAMENTS DES SYNDROMES OBSTRUCTIFS DES VOIES AERIENNES",
    "R06": "ANTIHISTAMINIQUES A USAGE SYSTEMIQUE",
}

# What people fetch once: substance, relative frequency, winter amplitude (0: none, 1: only in winter).
ACUTE_DRUGS: tuple[tuple[str, float, float], ...] = (
    ("paracetamol", 30, 0.35),
    ("ibuprofen", 9, 0.2),
    ("amoxicillin", 9, 0.7),
    ("amoxicillin_clavulanate", 4, 0.6),
    ("azithromycin", 3, 0.7),
    ("oseltamivir", 0.4, 0.95),
    ("fosfomycin", 2, 0.0),
    ("prednisolone", 6, 0.6),
    ("desloratadine", 6, -0.5),
    ("salbutamol", 3, 0.5),
    ("omeprazole", 5, 0.0),
    ("esomeprazole", 6, 0.0),
    ("phloroglucinol", 5, 0.1),
    ("diosmectite", 3, 0.4),
    ("macrogol", 3, 0.0),
    ("tramadol", 3, 0.0),
    ("zopiclone", 3, 0.0),
    ("alprazolam", 3, 0.0),
    ("colecalciferol", 7, 0.3),
    ("ferrous_sulfate", 2, 0.0),
    ("levonorgestrel", 2, 0.0),
)


def _check_digit(twelve: int) -> int:
    """EAN-13 check digit of the first twelve digits."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(f"{twelve:012d}"))
    return -total % 10


def _read() -> tuple[tuple[Substance, ...], tuple[Box, ...]]:
    substances: list[Substance] = []
    boxes: list[Box] = []
    for row in _ROWS.strip().splitlines():
        key, atc, name, concept, form, strengths, units, price, rate = row.split("|")
        substances.append(Substance(key, atc, name, int(concept) or None))
        for level, strength in enumerate(strengths.split(",")):
            for size in units.split(","):
                twelve = 340_099_900_000 + len(boxes) + 1
                smallest = int(units.split(",")[0])
                cents = round(int(price) * (1 + 0.35 * level) * (int(size) / smallest) ** 0.9)
                boxes.append(Box(twelve * 10 + _check_digit(twelve), key, strength, form, int(size), cents, int(rate)))
    return tuple(substances), tuple(boxes)


SUBSTANCES, BOXES = _read()
SUBSTANCE_INDEX = {substance.key: position for position, substance in enumerate(SUBSTANCES)}


def drug_concept_of(key: str) -> int:
    """Return the OMOP concept id of a substance; a local one where no ingredient is listed."""
    position = SUBSTANCE_INDEX[key]
    return SUBSTANCES[position].concept or LOCAL_DRUG + position
