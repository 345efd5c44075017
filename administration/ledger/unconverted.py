"""
A field that a conversion could not express in the tables of the package: kept as it was, under a mark that no table takes.

So that validation stays in one place, a conversion reports nothing about fields itself. It writes the mark, what kind of fault
it is, and the delivered text; the inspection, which refuses the mark, says the rest.
"""

MARK = "\x1a"  # SUB: “this stands for something that could not be said”

_BARE = "Correct it in the delivered file, or declare in the mapping how it is written."
KINDS: dict[str, tuple[str, str]] = {  # kind → reason with %s for the text, remedy
    "bad_date": ("%s is not a day as the mapping declares it.", _BARE),
    "bad_instant": ("%s is not an instant as the mapping declares it.", _BARE),
    "era_does_not_fit": ("%s is a day that its era did not have.", "Find out which day is meant. Nothing is guessed."),
    "not_a_number": ("%s is not a number as the mapping declares it.", _BARE),
    "negative_not_declared": ("%s is written as a negative in a way the mapping does not declare.", _BARE),
    "full_width_digits": ("%s has full-width digits, which the mapping does not declare.", _BARE),
    "exponent": ("%s is written with an exponent.", "Ask for all digits: a spreadsheet has shortened it."),
    "inexact_number": (
        "%s is a binary fraction of a spreadsheet or table: which decimal was meant cannot be known.",
        "Ask for the column as text or as exact decimals.",
    ),
    "unknown_value": ("%s is not among the values of the mapping.", "Say in the mapping what it means."),
    "too_wide": ("%s has more digits than the column takes.", "Find out what is meant; nothing is cut off."),
    "ragged_row": ("The row has another number of fields than the header: %s.", "Look at its separators and quotes."),
    "unreadable_row": ("The row cannot be read: %s.", "Look at its quotes."),
    "cell_error": ("%s stands in the cell of the spreadsheet: it shows an error.", "Ask for the value."),
}  # fmt: skip


def mark(kind: str, text: str) -> str:
    """The field as a conversion writes it."""
    return f"{MARK}{kind}{MARK}{text}"


def read(field: str) -> tuple[str, str, str] | None:
    """Kind, reason and remedy of a field that could not be converted; None for any other text."""
    if not field.startswith(MARK):
        return None
    kind, _mark, text = field[1:].partition(MARK)
    if kind not in KINDS:
        return None
    reason, remedy = KINDS[kind]
    return kind, reason % repr(text[:60]), remedy
