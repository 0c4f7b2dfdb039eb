"""The tables of the made-up world: names, columns, types and descriptions, person columns and site keys.

Names and meanings are those of the SNDS (DCIR and PMSI MCO) and of OMOP CDM 5.4. What differs from the real tables is
said in docs/synthetic-data.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

CNAM, HOSPITAL, REFERENCE = "cnam", "hospital", "reference"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column: its name, Arrow type and description."""

    name: str
    type: pa.DataType
    description: str


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table: who holds it and what WORLD.json says of it."""

    name: str
    holder: str
    description: str
    columns: tuple[ColumnSpec, ...]
    person_column: str | None = None
    person_domain: str | None = None
    site_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_TYPES = {
    "text": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "money": pa.decimal128(9, 2),
    "date": pa.date32(),
    "number": pa.float64(),
}


def _columns(text: str) -> tuple[ColumnSpec, ...]:
    found = []
    for line in filter(str.strip, text.splitlines()):
        name, kind, description = line.strip().split(" ", 2)
        found.append(ColumnSpec(name, _TYPES[kind], description))
    return tuple(found)


_JOIN_KEY = """
FLX_DIS_DTD date Date de mise à disposition des données (join key)
FLX_TRT_DTD date Date d'entrée des données dans le système d'information (join key)
FLX_EMT_TYP int Type d'émetteur (join key)
FLX_EMT_NUM int Numéro d'émetteur du flux (join key)
FLX_EMT_ORD int Numéro de séquence du flux (join key)
ORG_CLE_NUM text Organisme de liquidation des prestations (join key)
DCT_ORD_NUM long Numéro d'ordre du décompte dans l'organisme (join key)
PRS_ORD_NUM int Numéro d'ordre de la prestation dans le décompte (join key)
REM_TYP_AFF int Type de remboursement affiné (join key)
"""
JOIN_KEY = tuple(column.name for column in _columns(_JOIN_KEY))
"""The nine columns that join ER_PRS_F to the tables that refine it."""


def _insured(name: str, description: str, columns: str) -> TableSpec:
    """A table of CNAM; persons are counted by BEN_IDT_ANO."""
    return TableSpec(name, CNAM, description, _columns(columns), "BEN_IDT_ANO", "ben_idt_ano")


def _stay(name: str, description: str, columns: str) -> TableSpec:
    """A PMSI table of a hospital; a stay is known by FINESS and RSA number."""
    keys = {"stay": ("ETA_NUM", "RSA_NUM"), "finess": ("ETA_NUM",)}
    return TableSpec(name, HOSPITAL, description, _columns(columns), "NIR_ANO_17", "nir_ano_17", keys)


def _omop(name: str, description: str, columns: str, *own_keys: str) -> TableSpec:
    """An OMOP table of a hospital; its ids, and persons', are in ranges that no other hospital uses."""
    keys = {key: (key,) for key in ("person_id", *own_keys)}
    return TableSpec(name, HOSPITAL, description, _columns(columns), "person_id", "omop_person", keys)


def _reference(name: str, description: str, columns: str) -> TableSpec:
    """A public table that every node may hold."""
    return TableSpec(name, REFERENCE, description, _columns(columns))


IR_BEN_R = _insured(
    "IR_BEN_R",
    "Référentiel des bénéficiaires: one row for each BEN_NIR_PSA; a person may have several",
    """
BEN_NIR_PSA text Identifiant anonyme du patient dans le SNIIRAM
BEN_RNG_GEM int Rang de naissance du bénéficiaire
BEN_NIR_ANO text NIR pseudonymisé du bénéficiaire
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé: one for each person
BEN_IDT_TOP int Top identifiant bénéficiaire anonymisé
ASS_NIR_ANO text Matricule anonymisé de l'ouvreur de droits
BEN_CDI_NIR text Code d'identification du NIR
BEN_NAI_ANN int Année de naissance du bénéficiaire
BEN_NAI_MOI text Mois de naissance du bénéficiaire
BEN_SEX_COD int Code sexe du bénéficiaire (1 homme, 2 femme)
BEN_DCD_DTE date Date de décès du bénéficiaire; 1600-01-01 for the living
BEN_DCD_AME text Année et mois de décès du bénéficiaire; 160001 for the living
BEN_RES_DPT text Département de résidence du bénéficiaire; 999 unknown
BEN_RES_COM text Commune de résidence
BEN_TOP_CNS int Top consommant
ORG_AFF_BEN text Code de l'organisme d'affiliation
ORG_CLE_NEW text Code de l'organisme de liquidation
MAX_TRT_DTD date Date maximale de traitement d'une prestation
BEN_DTE_INS date Date d'insertion dans le référentiel
BEN_DTE_MAJ date Date de mise à jour
""",
)

ER_PRS_F = _insured(
    "ER_PRS_F",
    "Prestations: each reimbursed service, drugs and acts included (BEN_IDT_ANO added)",
    _JOIN_KEY
    + """
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé (not in the real table)
BEN_NIR_PSA text Identifiant anonyme du patient dans le SNIIRAM
BEN_RNG_GEM int Rang de naissance du bénéficiaire
BEN_NAI_ANN int Année de naissance du bénéficiaire
BEN_SEX_COD int Code sexe du bénéficiaire
BEN_AMA_COD int Age du bénéficiaire: months under 2 years (1000 + months), else years
BEN_RES_DPT text Département de résidence du bénéficiaire
BEN_CMU_TOP int Top bénéficiaire de la CMU complémentaire
ORG_AFF_BEN text Code de l'organisme d'affiliation
RGM_GRG_COD int Grand régime de liquidation du bénéficiaire
EXE_SOI_DTD date Date de début d'exécution des soins
EXE_SOI_DTF date Date de fin d'exécution des soins
EXE_SOI_AMD text Année et mois de début d'exécution des soins
PRE_PRE_DTD date Date de prescription
PRS_NAT_REF int Code de la prestation de référence
BSE_PRS_NAT int Nature de la prestation (acte de base)
PRS_ACT_QTE money Quantité de l'acte de base; negative in a regularisation
PRS_ACT_NBR money Dénombrement des actes de base
PRS_PAI_MNT money Montant global de la dépense
PRS_DEP_MNT money Montant global du dépassement
BSE_REM_PRU money Prix unitaire de l'acte
BSE_REM_BSE money Base de remboursement de l'acte de base
BSE_REM_MNT money Montant remboursé pour l'acte de base
BSE_REM_SGN int Signe du remboursement
RGO_REM_TAU int Taux de remboursement (part régime obligatoire), percent
RGO_ASU_NAT int Nature d'assurance (régime obligatoire)
EXO_MTF int Motif d'exonération du ticket modérateur
DPN_QLF int Qualificatif de la dépense; 71: for information only, to be left out of sums
PRS_DPN_QLP int Qualificatif de la dépense transmis
PSE_SPE_COD int Spécialité médicale du professionnel de santé exécutant
PSP_SPE_COD int Spécialité médicale du professionnel de santé prescripteur
PFS_EXE_NUM text Numéro du professionnel de santé exécutant
PFS_PRE_NUM text Numéro du professionnel de santé prescripteur
ETB_PRE_FIN text FINESS de l'établissement prescripteur
""",
)

ER_PHA_F = _insured(
    "ER_PHA_F",
    "Pharmacie: the drugs of ER_PRS_F, joined by nine columns (BEN_IDT_ANO added)",
    _JOIN_KEY
    + """
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé (not in the real table)
PHA_ORD_NUM int Numéro d'ordre de la prestation affinée pharmacie
PHA_PRS_C13 long Code CIP de la pharmacie de ville (13 caractères)
PHA_ACT_QSN int Quantité affinée signée: boxes; negative in a regularisation
PHA_ACT_PRU money Prix unitaire du médicament
PHA_DEC_TOP text Top déconditionnement
PHA_MOD_PRN text Mode de prescription
PHA_SEQ_RNV int Séquence de renouvellement
PHA_SUB_MTF int Motif de substitution du médicament
""",
)

ER_CAM_F = _insured(
    "ER_CAM_F",
    "Actes CCAM: the medical acts of ER_PRS_F, joined by nine columns (BEN_IDT_ANO added)",
    _JOIN_KEY
    + """
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé (not in the real table)
CAM_ORD_NUM int Numéro d'ordre de la prestation affinée CCAM
CAM_PRS_IDE text Code CCAM de l'acte médical
CAM_ACT_COD text Code activité
CAM_TRT_PHA int Phase de traitement
CAM_ASS_COD text Code association
CAM_ACT_PRU money Prix unitaire CCAM de l'acte médical
CAM_REM_BSE money Base de remboursement de la CCAM
CAM_DOC_EXT text Extension documentaire
""",
)

IR_IMB_R = _insured(
    "IR_IMB_R",
    "Référentiel médicalisé: long-term illnesses (ALD) and other exemptions (BEN_IDT_ANO added)",
    """
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé (not in the real table)
BEN_NIR_PSA text Identifiant anonyme du patient dans le SNIIRAM
BEN_RNG_GEM int Rang de naissance du bénéficiaire
IMB_ALD_DTD date Date de début d'exonération du ticket modérateur
IMB_ALD_DTF date Date de fin de l'exonération
IMB_ALD_NUM int Numéro d'ALD
IMB_ETM_NAT int Motif d'exonération: 41 liste, 43 hors liste, 45 polypathologie
MED_MTF_COD text Motif médical ou pathologie (code CIM-10)
MED_NCL_IDT text Nomenclature médicale
INS_DTE date Date d'insertion
UPD_DTE date Date de mise à jour
""",
)

KI_CCI_R = _insured(
    "KI_CCI_R",
    "Causes médicales de décès: deaths in the world's years",
    """
DCD_IDT_ENC text Identifiant décès encodé
DCD_IDT_TOP int Top apparié avec IR_BEN_R
BEN_IDT_ANO text Identifiant bénéficiaire anonymisé
BEN_IDT_TOP int Top identifiant bénéficiaire anonymisé
FLX_PER_ANN text Année de décès
BEN_DCD_DTE date Date de décès du bénéficiaire
BEN_DCD_AME text Année et mois de décès
DCD_DPT_COD text Département de décès
BEN_RES_DPT text Département de résidence
BEN_NAI_ANN int Année de naissance
BEN_SEX_COD int Code sexe
DCD_CIM_COD text Cause initiale du décès (CIM-10)
DCD_LIE_COD int Lieu du décès (1 domicile, 2 établissement de santé)
""",
)

T_MCOAAB = _stay(
    "T_MCOaaB",
    "PMSI MCO: one row for each stay, all years (NIR_ANO_17 added)",
    """
ETA_NUM text Numéro FINESS e-PMSI
RSA_NUM long N° d'index du RSA, unique within the hospital
NIR_ANO_17 text N° anonyme du patient (not in the real table)
AGE_ANN int Age en années à l'entrée; NULL under one year
AGE_JOU int Age en jours à l'entrée, under one year only
COD_SEX text Sexe (1 homme, 2 femme)
BDI_DEP text Département de résidence, coded as BEN_RES_DPT
ENT_MOD text Mode d'entrée
ENT_PRV text Provenance; 5: emergency room
SOR_MOD text Mode de sortie (8 domicile, 7 transfert, 6 mutation, 9 décès)
SOR_DES text Destination
SOR_ANN text Année de sortie
SOR_MOI text Mois de sortie
SEJ_NBJ int Durée totale du séjour en jours; NULL for sessions
DGN_PAL text Diagnostic principal (CIM-10)
DGN_REL text Diagnostic relié (CIM-10)
GRG_GHM text GHM calculé par le GENRSA; 90: grouping error
GRG_RET text Code retour obtenu par GENRSA
GRG_VER text Version de la classification
NBR_DGN int Nombre de diagnostics associés significatifs
NBR_ACT int Nombre de zones d'actes
NBR_RUM int Nombre de RUM
NBR_SEA int Nombre de séances
NBR_SUP_REA int Nombre de suppléments de réanimation
NBR_SUP_SRC int Nombre de suppléments de surveillance continue
POI_NAI int Poids d'entrée du nouveau-né, grammes
UHCD_TOP text Top UHCD
PAS_LIT_DED text Passage dans un lit dédié de soins palliatifs
RSS_NUM text Numéro de version du format du RSA
""",
)

T_MCOAAC = _stay(
    "T_MCOaaC",
    "PMSI MCO: the patient's key and the dates of each stay",
    """
ETA_NUM text Numéro FINESS e-PMSI
RSA_NUM long N° d'index du RSA, unique within the hospital
NIR_ANO_17 text N° anonyme; equals BEN_NIR_PSA of IR_BEN_R when the return codes are 0
NIR_RET text Code retour contrôle n° sécurité sociale
NAI_RET text Code retour contrôle date de naissance
SEX_RET text Code retour contrôle sexe
SEJ_RET text Code retour contrôle n° administratif de séjour
FHO_RET text Code retour fusion ANO HOSP et HOSP PMSI
PMS_RET text Code retour fusion ANO PMSI et fichier PMSI
DAT_RET text Code retour contrôle date d'entrée
COH_NAI_RET text Code retour contrôle cohérence date de naissance
COH_SEX_RET text Code retour contrôle cohérence sexe
ENT_DAT date Date d'entrée; NULL when DAT_RET is not 0
SOR_DAT date Date de sortie
EXE_SOI_DTD date Date d'entrée
EXE_SOI_DTF date Date de sortie
EXE_SOI_AMD text Année et mois d'entrée
EXE_SOI_AMF text Année et mois de sortie
SOR_ANN text Année de sortie
SOR_MOI text Mois de sortie
RNG_NAI int Rang de naissance
""",
)

T_MCOAAD = _stay(
    "T_MCOaaD",
    "PMSI MCO: associated diagnoses of each stay (NIR_ANO_17 added)",
    """
ETA_NUM text Numéro FINESS e-PMSI
RSA_NUM long N° d'index du RSA
NIR_ANO_17 text N° anonyme du patient (not in the real table)
DGN_ASS_NUM int Numéro du diagnostic dans le séjour
ASS_DGN text Diagnostic associé (CIM-10)
""",
)

T_MCOAAA = _stay(
    "T_MCOaaA",
    "PMSI MCO: acts of each stay; some rows are there twice, as in reality (NIR_ANO_17 added)",
    """
ETA_NUM text Numéro FINESS e-PMSI
RSA_NUM long N° d'index du RSA
NIR_ANO_17 text N° anonyme du patient (not in the real table)
RUM_SEQ text N° séquentiel du RUM
ENT_DAT_DEL int Délai depuis la date d'entrée, days
CDC_ACT text Code CCAM
ACV_ACT text Activité (1 acte, 4 anesthésie)
PHA_ACT text Phase
NBR_EXE_ACT int Nombre de réalisations de l'acte pendant le séjour
""",
)

T_MCOAAUM = _stay(
    "T_MCOaaUM",
    "PMSI MCO: medical units that each stay passed through (NIR_ANO_17 added)",
    """
ETA_NUM text Numéro FINESS e-PMSI
RSA_NUM long N° d'index du RSA
NIR_ANO_17 text N° anonyme du patient (not in the real table)
UM_ORD_NUM int N° séquentiel de RUM
UM_TYP text Type d'UM (C hospitalisation complète, P partielle)
AUT_TYP1_UM text Premier type d'autorisation d'UM
DGN_PAL text Diagnostic principal du RUM
PAR_DUR_SEJ int Durée du séjour partiel, days
""",
)

PERSON = _omop(
    "person",
    "OMOP: one row for each patient of the hospital",
    """
person_id long Patient of this hospital; ranges of hospitals are disjoint
gender_concept_id int 8507 male, 8532 female
year_of_birth int Year of birth
month_of_birth int Month of birth
race_concept_id int 0: not recorded
ethnicity_concept_id int 0: not recorded
care_site_id int The hospital
person_source_value text The hospital's NIR_ANO_17 of the patient
gender_source_value text 1 or 2
""",
)

VISIT_OCCURRENCE = _omop(
    "visit_occurrence",
    "OMOP: stays and outpatient visits",
    """
visit_occurrence_id long Visit; ranges of hospitals are disjoint
person_id long Patient
visit_concept_id int 9201 inpatient, 9202 outpatient, 9203 emergency room
visit_start_date date First day
visit_end_date date Last day
visit_type_concept_id int 32817: electronic health record
care_site_id int The hospital
visit_source_value text The hospital's number of the stay (RSA_NUM), NULL for outpatient visits
admitted_from_concept_id int 0, or 9203 from the emergency room
discharged_to_concept_id int 0
""",
    "visit_occurrence_id",
)

CONDITION_OCCURRENCE = _omop(
    "condition_occurrence",
    "OMOP: diagnoses of visits",
    """
condition_occurrence_id long Row; ranges of hospitals are disjoint
person_id long Patient
condition_concept_id int Condition
condition_start_date date First day
condition_end_date date Last day
condition_type_concept_id int 32817: electronic health record
condition_status_concept_id int 32902 primary diagnosis, 32908 secondary diagnosis
visit_occurrence_id long Visit
condition_source_value text CIM-10 code
""",
    "visit_occurrence_id",
    "condition_occurrence_id",
)

DRUG_EXPOSURE = _omop(
    "drug_exposure",
    "OMOP: drugs given during visits",
    """
drug_exposure_id long Row; ranges of hospitals are disjoint
person_id long Patient
drug_concept_id int Ingredient
drug_exposure_start_date date First day
drug_exposure_end_date date Last day
drug_type_concept_id int 32817: electronic health record
quantity number Units given
days_supply int Days
visit_occurrence_id long Visit
drug_source_value text ATC code
""",
    "visit_occurrence_id",
    "drug_exposure_id",
)

PROCEDURE_OCCURRENCE = _omop(
    "procedure_occurrence",
    "OMOP: acts of stays",
    """
procedure_occurrence_id long Row; ranges of hospitals are disjoint
person_id long Patient
procedure_concept_id int Act (local concept of the CCAM code)
procedure_date date Day
procedure_type_concept_id int 32817: electronic health record
quantity int How often
visit_occurrence_id long Visit
procedure_source_value text CCAM code
""",
    "visit_occurrence_id",
    "procedure_occurrence_id",
)

MEASUREMENT = _omop(
    "measurement",
    "OMOP: laboratory and bedside measurements of visits; some are there twice, some lack their value",
    """
measurement_id long Row; ranges of hospitals are disjoint
person_id long Patient
measurement_concept_id int What was measured
measurement_date date Day
measurement_type_concept_id int 32817: electronic health record
operator_concept_id int 4172703: equal
value_as_number number Value; NULL when the sample could not be used
unit_concept_id int Unit; 0 when not sent
range_low number Lower end of the normal range
range_high number Upper end of the normal range
visit_occurrence_id long Visit
measurement_source_value text LOINC code
unit_source_value text Unit as sent
""",
    "visit_occurrence_id",
    "measurement_id",
)

DEATH = _omop(
    "death",
    "OMOP: deaths in the hospital",
    """
person_id long Patient
death_date date Day
death_type_concept_id int 32817: electronic health record
cause_concept_id int Principal diagnosis of the last stay
cause_source_value text CIM-10 code
""",
)

DEPARTEMENT = _reference(
    "departement",
    "Départements of France",
    """
code text Three characters, as BEN_RES_DPT
name text Name
region text Region
population int Inhabitants, thousands, rounded
""",
)

HOSPITALS = _reference(
    "hospitals",
    "The hospitals of this world; none of them exists",
    """
finess text FINESS number (made up), equals ETA_NUM
name text Name
town text Town
departement text Departement code
region text Region
care_site_id int The hospital in OMOP tables
node text The node that holds its data
""",
)

IR_PHA_R = _reference(
    "IR_PHA_R",
    "Référentiel des médicaments: boxes with their ATC class (CIP numbers and prices are made up)",
    """
PHA_CIP_C13 long Code CIP à 13 chiffres
PHA_ATC_CLA text Code ATC
PHA_ATC_LIB text Substance of the ATC code
PHA_ATC_C03 text Code ATC, 3 characters
PHA_ATC_L03 text Label of the ATC class
PHA_MED_NOM text Nom du médicament
PHA_NOM_PA text Principe actif
PHA_FRM_LIB text Forme
PHA_DOS_PRA_DSES text Dosage
PHA_UNT_NBR_DSES int Nombre d'unités par boîte
PHA_PRI_UNI money Prix de la boîte
PHA_TAU_COD int Taux de remboursement, percent
""",
)

CONCEPT = _reference(
    "concept",
    "OMOP concepts used in this world; ids above two billion are local",
    """
concept_id int Concept
concept_name text Name
domain_id text Domain
vocabulary_id text Vocabulary
concept_class_id text Class
standard_concept text S: standard
concept_code text Code in its vocabulary
""",
)

SPECS: tuple[TableSpec, ...] = (
    IR_BEN_R,
    ER_PRS_F,
    ER_PHA_F,
    ER_CAM_F,
    IR_IMB_R,
    KI_CCI_R,
    T_MCOAAB,
    T_MCOAAC,
    T_MCOAAD,
    T_MCOAAA,
    T_MCOAAUM,
    PERSON,
    VISIT_OCCURRENCE,
    CONDITION_OCCURRENCE,
    DRUG_EXPOSURE,
    PROCEDURE_OCCURRENCE,
    MEASUREMENT,
    DEATH,
    DEPARTEMENT,
    HOSPITALS,
    IR_PHA_R,
    CONCEPT,
)
