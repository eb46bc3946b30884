"""Judge a column of the record: whether it says something of patients, and nothing of who they are.

Messages quote no cell: it may be a name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import spelling_key

HEADERS = {  # name of a column to the element of a DICOM file
    "sex": "PatientSex",
    "age": "PatientAge",
    "view": "ViewPosition",
    "scanner": "ManufacturerModelName",
    "manufacturer": "Manufacturer",
    "year": "StudyDate",
    "site": "InstitutionName",
}
OTHER = "other"  # in place of a word that a single patient has
MOSTLY = 0.9  # share of the patients with a text of their own from which a column is an identifier
LONGEST, WORDS = 40, 5  # letters and words of a text, above which it is free text
DIGITS = 6  # of whole numbers that may be identifiers
_AGE = re.compile(r"(\d{1,3})([DWMY])", re.IGNORECASE)
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(
    r"(18|19|20)\d\d[-./]?(0?[1-9]|1[0-2])[-./]?(0?[1-9]|[12]\d|3[01])|\d{1,2}[-./]\d{1,2}[-./](\d\d){1,2}"
)
_IDENTIFIER = re.compile(
    r".*(birth|accession|address|phone|email|comment).*|dob|mrn|ssn|id|uid|nhs|patient|name|"
    r".*(patient|pat|subject|person|case|record|study|series|exam|instance)(s?id|uid|no|nr|number|name)|"
    r"(first|last|sur|given|family|full|middle|maiden)names?"
)


def judged(setting: str, name: str, values: Sequence[str], patients: Sequence[str], notes: list[str]) -> list[str]:
    """Return the values of a column as the record holds them: numbers, or words that several patients have.

    Ages as DICOM writes them, such as 045Y, become years. A word of a single patient becomes `OTHER`, since it could be
    a name; spellings that differ in case or spaces become the most frequent one.

    Args:
        setting: that names the column, for messages.
        name: of the column.
        values: text of each image; "" where it is unknown.
        patients: of each image.
        notes: takes that numbers are read as words.

    Raises:
        BonexrayError: the column looks like an identifier or free text, has no value, or has only one.
    """
    known = [(value, patient) for value, patient in zip(values, patients, strict=True) if value]
    received = _identifying(name, known)
    if received:
        raise _unfit(setting, name, "a fact that many patients share", received, "name another column, or none")
    if not known:
        raise _unfit(
            setting, name, "values", "none: every cell is empty or unknown", "fill in the column, or leave it out"
        )
    years = [in_years(value) for value in values]
    if all(year or not value for year, value in zip(years, values, strict=True)):
        values = years
    numbers = sum(bool(_NUMBER.fullmatch(value)) for value in values)
    if numbers < len(known):
        if numbers:
            notes.append(f"column {name!r} has {numbers} numbers among {len(known)} values, and is read as words")
        values = _words(values, patients)
    if len({*values} - {""}) < 2:
        raise _unfit(setting, name, "different values", "one value for all", "leave the column out")
    return list(values)


def in_years(text: str) -> str:
    """Return an age as DICOM writes it in years, or a number as it is; "" for any other text.

    >>> in_years("045Y"), in_years("018M"), in_years("63"), in_years("old")
    ('45', '1.5', '63', '')
    """
    if age := _AGE.fullmatch(text):
        return f"{round(int(age[1]) * _YEARS[age[2].upper()], 2):g}"
    return text if _NUMBER.fullmatch(text) else ""


def _identifying(name: str, known: Sequence[tuple[str, str]]) -> str:
    """Return why a column looks like an identifier or free text; empty if it does not."""
    letters = re.sub(r"[\W_]+", "", name.casefold())
    if _IDENTIFIER.fullmatch(letters):
        return "a name of identifiers or free text"
    texts = {value for value, _ in known}
    people = len({patient for _, patient in known})
    if sum(bool(_DATE.fullmatch(value)) for value, _ in known) > len(known) / 2:
        return "dates"
    if any(len(text) > LONGEST or len(text.split()) > WORDS for text in texts):
        return "free text"
    is_code = [not _NUMBER.fullmatch(text) or (text.isdigit() and len(text) >= DIGITS) for text in texts]
    if people > 3 and sum(is_code) >= MOSTLY * people:
        return f"{sum(is_code)} different texts for {people} patients"
    return ""


def _words(values: Sequence[str], patients: Sequence[str]) -> list[str]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    people: dict[str, set[str]] = defaultdict(set)
    for value, patient in zip(values, patients, strict=True):
        spellings[spelling_key(value)][value] += 1
        people[spelling_key(value)].add(patient)
    written = {
        key: OTHER if len(people[key]) < 2 else min(names, key=lambda text: (-names[text], text))
        for key, names in spellings.items()
    }
    return [written[spelling_key(value)] if value else "" for value in values]


def _unfit(setting: str, name: str, expected: str, received: str, do: str) -> BonexrayError:
    return BonexrayError(f"{setting}: column {name!r}", expected=expected, received=received, do=do)
