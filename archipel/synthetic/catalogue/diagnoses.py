"""The diagnoses of the made-up world: CIM-10 code, label, and the standard OMOP concept where one is known."""

from __future__ import annotations

LOCAL_CONDITION = 2_000_000_000
LOCAL_PROCEDURE = 2_000_100_000
"""OMOP leaves concept ids above two billion to each site; codes without a well-known concept get one of these."""

DIAGNOSES: dict[str, tuple[str, int | None]] = {
    "A09": ("Gastroentérite et colite d'origine infectieuse", None),
    "A419": ("Sepsis, sans précision", 132797),
    "B24": ("Immunodéficience humaine virale [VIH], sans précision", 439727),
    "C189": ("Tumeur maligne du côlon", 4180790),
    "C349": ("Tumeur maligne de bronche ou de poumon", None),
    "C509": ("Tumeur maligne du sein", 4112853),
    "C61": ("Tumeur maligne de la prostate", 4163261),
    "C859": ("Lymphome non hodgkinien", None),
    "D509": ("Anémie par carence en fer", None),
    "D66": ("Hémophilie A", None),
    "D649": ("Anémie, sans précision", None),
    "E039": ("Hypothyroïdie", None),
    "E109": ("Diabète de type 1, sans complication", 201254),
    "E119": ("Diabète de type 2, sans complication", 201826),
    "E669": ("Obésité", None),
    "E752": ("Autres sphingolipidoses", None),
    "E780": ("Hypercholestérolémie essentielle", None),
    "E840": ("Fibrose kystique avec manifestations pulmonaires", None),
    "E86": ("Hypovolémie", None),
    "F100": ("Intoxication alcoolique aiguë", None),
    "F209": ("Schizophrénie", 435783),
    "F329": ("Épisode dépressif", 440383),
    "G10": ("Maladie de Huntington", None),
    "G122": ("Maladies du neurone moteur", None),
    "G20": ("Maladie de Parkinson", 381270),
    "G309": ("Maladie d'Alzheimer", 378419),
    "G35": ("Sclérose en plaques", 374919),
    "G409": ("Épilepsie", 380378),
    "H259": ("Cataracte sénile", None),
    "I10": ("Hypertension essentielle (primitive)", 320128),
    "I214": ("Infarctus sous-endocardique aigu du myocarde", 4329847),
    "I219": ("Infarctus aigu du myocarde", 4329847),
    "I251": ("Cardiopathie artérioscléreuse", 317576),
    "I489": ("Fibrillation et flutter auriculaires", 313217),
    "I500": ("Insuffisance cardiaque congestive", 316139),
    "I501": ("Insuffisance ventriculaire gauche", 316139),
    "I639": ("Infarctus cérébral", 443454),
    "I64": ("Accident vasculaire cérébral", 381316),
    "J101": ("Grippe avec autres manifestations respiratoires", 4266367),
    "J159": ("Pneumopathie bactérienne", 255848),
    "J189": ("Pneumopathie, micro-organisme non précisé", 255848),
    "J219": ("Bronchiolite aiguë", None),
    "J440": ("Maladie pulmonaire obstructive chronique avec infection", 255573),
    "J441": ("Maladie pulmonaire obstructive chronique avec épisodes aigus", 255573),
    "J449": ("Maladie pulmonaire obstructive chronique", 255573),
    "J459": ("Asthme", 317009),
    "J960": ("Insuffisance respiratoire aiguë", None),
    "K358": ("Appendicite aiguë", 440448),
    "K409": ("Hernie inguinale", None),
    "K509": ("Maladie de Crohn", 201606),
    "K573": ("Diverticulose du côlon", None),
    "K590": ("Constipation", None),
    "K635": ("Polype du côlon", 4285898),
    "K802": ("Calcul de la vésicule biliaire", 196456),
    "L97": ("Ulcère du membre inférieur", None),
    "M069": ("Polyarthrite rhumatoïde", 80809),
    "M161": ("Coxarthrose primaire", None),
    "M171": ("Gonarthrose primaire", None),
    "M545": ("Lombalgie basse", None),
    "M810": ("Ostéoporose post-ménopausique", None),
    "N10": ("Néphrite tubulo-interstitielle aiguë", None),
    "N189": ("Maladie rénale chronique", 46271022),
    "N200": ("Calcul du rein", None),
    "N390": ("Infection des voies urinaires", None),
    "O800": ("Accouchement spontané par présentation du sommet", None),
    "O821": ("Accouchement par césarienne d'urgence", None),
    "P073": ("Enfant né avant terme", None),
    "R074": ("Douleur thoracique", None),
    "R104": ("Douleurs abdominales", None),
    "R55": ("Syncope et collapsus", None),
    "S060": ("Commotion", None),
    "S525": ("Fracture de l'extrémité inférieure du radius", None),
    "S720": ("Fracture du col du fémur", None),
    "T424": ("Intoxication par benzodiazépines", None),
    "U0710": ("COVID-19, forme respiratoire", 37311061),
    "Z121": ("Examen de dépistage d'une tumeur de l'intestin", None),
    "Z380": ("Enfant unique, né à l'hôpital", None),
    "Z491": ("Dialyse extracorporelle", None),
    "Z511": ("Séance de chimiothérapie pour tumeur", None),
    "Z515": ("Soins palliatifs", None),
}

CODES = tuple(DIAGNOSES)
INDEX = {code: position for position, code in enumerate(CODES)}


def concept_of(code: str) -> int:
    """Return the OMOP concept id of a diagnosis; a local one where no standard concept is listed."""
    standard = DIAGNOSES[code][1]
    return LOCAL_CONDITION + INDEX[code] if standard is None else standard
