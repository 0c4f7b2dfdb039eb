"""Where the made-up people live and are treated: the departements of France and 26 hospitals that do not exist."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Departement:
    """A departement; ``code`` has three characters as in BEN_RES_DPT, ``population`` is in thousands."""

    code: str
    name: str
    region: str
    population: int


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital that does not exist, in a real town; its FINESS number is made up."""

    folder: str
    finess: str
    name: str
    town: str
    departement: str


_REGIONS: tuple[tuple[str, str], ...] = (
    (
        "Auvergne-Rhône-Alpes",
        "001 Ain 670|003 Allier 335|007 Ardèche 330|015 Cantal 144|026 Drôme 520|038 Isère 1285|042 Loire 767|"
        "043 Haute-Loire 228|063 Puy-de-Dôme 662|069 Rhône 1900|073 Savoie 440|074 Haute-Savoie 842",
    ),
    (
        "Bourgogne-Franche-Comté",
        "021 Côte-d'Or 535|025 Doubs 548|039 Jura 258|058 Nièvre 201|070 Haute-Saône 233|071 Saône-et-Loire 549|"
        "089 Yonne 334|090 Territoire de Belfort 139",
    ),
    ("Bretagne", "022 Côtes-d'Armor 605|029 Finistère 920|035 Ille-et-Vilaine 1110|056 Morbihan 770"),
    (
        "Centre-Val de Loire",
        "018 Cher 300|028 Eure-et-Loir 432|036 Indre 217|037 Indre-et-Loire 614|041 Loir-et-Cher 328|045 Loiret 685",
    ),
    ("Corse", "02A Corse-du-Sud 162|02B Haute-Corse 185"),
    (
        "Grand Est",
        "008 Ardennes 268|010 Aube 311|051 Marne 566|052 Haute-Marne 170|054 Meurthe-et-Moselle 732|055 Meuse 181|"
        "057 Moselle 1050|067 Bas-Rhin 1155|068 Haut-Rhin 768|088 Vosges 359",
    ),
    ("Hauts-de-France", "002 Aisne 526|059 Nord 2610|060 Oise 830|062 Pas-de-Calais 1460|080 Somme 567"),
    (
        "Île-de-France",
        "075 Paris 2130|077 Seine-et-Marne 1440|078 Yvelines 1460|091 Essonne 1315|092 Hauts-de-Seine 1635|"
        "093 Seine-Saint-Denis 1670|094 Val-de-Marne 1415|095 Val-d'Oise 1260",
    ),
    ("Normandie", "014 Calvados 700|027 Eure 600|050 Manche 495|061 Orne 277|076 Seine-Maritime 1255"),
    (
        "Nouvelle-Aquitaine",
        "016 Charente 351|017 Charente-Maritime 665|019 Corrèze 240|023 Creuse 115|024 Dordogne 413|033 Gironde 1670|"
        "040 Landes 425|047 Lot-et-Garonne 331|064 Pyrénées-Atlantiques 695|079 Deux-Sèvres 375|086 Vienne 440|"
        "087 Haute-Vienne 372",
    ),
    (
        "Occitanie",
        "009 Ariège 154|011 Aude 378|012 Aveyron 280|030 Gard 760|031 Haute-Garonne 1455|032 Gers 192|034 Hérault 1220|"
        "046 Lot 175|048 Lozère 77|065 Hautes-Pyrénées 231|066 Pyrénées-Orientales 488|081 Tarn 393|"
        "082 Tarn-et-Garonne 263",
    ),
    (
        "Pays de la Loire",
        "044 Loire-Atlantique 1475|049 Maine-et-Loire 825|053 Mayenne 306|072 Sarthe 566|085 Vendée 700",
    ),
    (
        "Provence-Alpes-Côte d'Azur",
        "004 Alpes-de-Haute-Provence 167|005 Hautes-Alpes 141|006 Alpes-Maritimes 1105|013 Bouches-du-Rhône 2060|"
        "083 Var 1100|084 Vaucluse 564",
    ),
    ("Guadeloupe", "971 Guadeloupe 380"),
    ("Martinique", "972 Martinique 350"),
    ("Guyane", "973 Guyane 290"),
    ("La Réunion", "974 La Réunion 880"),
    ("Mayotte", "976 Mayotte 310"),
)


def _departements() -> tuple[Departement, ...]:
    found = []
    for region, text in _REGIONS:
        for entry in text.split("|"):
            code, rest = entry.split(" ", 1)
            name, population = rest.rsplit(" ", 1)
            found.append(Departement(code, name, region, int(population)))
    return tuple(sorted(found, key=lambda d: d.code))


DEPARTEMENTS = _departements()
REGIONS = tuple(region for region, _ in _REGIONS)

# The first hospitals lie far apart, so that a world of three shows three regions.
_TOWNS = (
    "059 Lille du Beffroi",
    "069 Lyon des Deux Rives",
    "031 Toulouse du Canal",
    "075 Paris des Arcades",
    "013 Marseille des Calanques",
    "033 Bordeaux du Port",
    "067 Strasbourg des Quais",
    "035 Rennes du Parc",
    "076 Rouen des Clochers",
    "044 Nantes de l'Estuaire",
    "021 Dijon des Tilleuls",
    "045 Orléans du Pont",
    "974 Saint-Denis du Volcan",
    "034 Montpellier des Pins",
    "063 Clermont-Ferrand des Puys",
    "092 Nanterre du Mont",
    "006 Nice de la Baie",
    "086 Poitiers des Marais",
    "080 Amiens des Hortillons",
    "014 Caen du Bocage",
    "029 Brest de la Rade",
    "025 Besançon de la Boucle",
    "054 Nancy des Grilles",
    "971 Pointe-à-Pitre des Palmes",
    "02A Ajaccio du Maquis",
    "049 Angers du Val",
)


def _hospitals() -> tuple[Hospital, ...]:
    found = []
    for index, entry in enumerate(_TOWNS):
        code, town, nickname = entry.split(" ", 2)
        letter = chr(ord("a") + index)
        prefix = code[1:] if code.startswith("0") else code[:2]
        found.append(
            Hospital(
                folder=f"hospital_{letter}",
                finess=f"{prefix}099{index + 1:04d}",
                name=f"Centre hospitalier {nickname}",
                town=town,
                departement=code,
            )
        )
    return tuple(found)


HOSPITALS = _hospitals()
MAX_HOSPITALS = len(HOSPITALS)
