"""
How alike two customers are: which particulars agree, which speak against it, at what level, and whether a machine may link them.

    EXACT     the name, the birth or founding date and the telephone agree
    STRONG    the name and the birth or founding date agree
    REVIEW    enough else agrees that a person should look

Pure. A machine links only what nobody would dispute: nothing speaks against it, the date is known and the same, and beside
name and date the telephone, the e-mail or the address agrees; for companies the corporate number. Two strangers with one
name and one birthday are not rare among millions. Everything else is only proposed.
"""

from dataclasses import dataclass
from datetime import date

from rapidfuzz import fuzz

from administration.ledger.folding import INDIVIDUAL, Folded, letters_of

EXACT, STRONG, REVIEW = "exact", "strong", "review"
LEVELS = (EXACT, STRONG, REVIEW)
RULES = "nayose/1"  # changes with anything below, and stands on every run

ALIKE = 85.0  # of 100: one slip in a name of usual length
RATHER = 70.0  # with something else that agrees
SAME_WORD = 90.0
PLACES = 88.0  # addresses that differ in one sign or two


@dataclass(frozen=True, slots=True)
class Likeness:
    level: str
    score: int  # of 1000; for the order of the review only
    automatic: bool
    agrees: tuple[str, ...]  # of PARTICULARS
    against: tuple[str, ...]


PARTICULARS = (
    "name", "name_alike", "written", "written_differs", "born", "born_slip", "born_missing", "born_differs", "phone", "email",
    "place", "place_alike", "postcode", "corporate_number", "corporate_number_differs", "form_differs", "nationality_differs",
    "for_others",
)  # fmt: skip


def likened(one: Folded, other: Folded) -> Likeness | None:
    """How alike two customers are; nothing if they are not worth a look."""
    if one.kind != other.kind:
        return None
    if one.corporate_number and other.corporate_number and one.corporate_number != other.corporate_number:
        return None  # the register says that these are two
    name, alike = _same_name(one, other), _alike(one, other)
    foreign = _in_two_scripts(one, other)
    if not name and alike < 50.0 and not foreign and not _a_word_in_common(one, other):
        return None
    written = _written(one, other)
    born = _born(one.born, other.born)
    phone = bool(one.phone) and one.phone == other.phone
    email = bool(one.email) and one.email == other.email
    number = bool(one.corporate_number) and one.corporate_number == other.corporate_number
    place = _place(one, other)
    postcode = bool(one.postcode) and one.postcode == other.postcode
    reached = phone + email + (place == "place")  # ways to reach somebody, each seldom two people's

    if name and born == "born":
        level = EXACT if phone else STRONG
    elif _worth_a_look(one, other, name, alike, written, born, phone, email, place, postcode, number) or (
        foreign and (born == "born") + reached >= 2  # スミス and SMITH: letters say little, a day and an address enough
    ):
        level = REVIEW
    else:
        return None

    against = tuple(
        word
        for word, is_so in (
            ("written_differs", written == "written_differs"),
            ("born_slip", born == "born_slip"),
            ("born_missing", born == "born_missing"),
            ("born_differs", born == "born_differs"),
            ("form_differs", bool(one.form and other.form and one.form != other.form)),
            ("nationality_differs", bool(one.nationality and other.nationality and one.nationality != other.nationality)),
            ("for_others", one.for_others or other.for_others),
        )
        if is_so
    )
    agrees = tuple(
        word
        for word, is_so in (
            ("name", name),
            ("name_alike", not name),
            ("written", written == "written"),
            ("born", born == "born"),
            ("phone", phone),
            ("email", email),
            ("place", place == "place"),
            ("place_alike", place == "place_alike"),
            ("postcode", postcode),
            ("corporate_number", number),
        )
        if is_so
    )
    known = number if one.kind != INDIVIDUAL else reached > 0
    automatic = level in (EXACT, STRONG) and not against and known
    return Likeness(level, _score(level, alike, born, reached, place, postcode, number, len(against)), automatic, agrees, against)


def _worth_a_look(
    one: Folded, other: Folded, name: bool, alike: float, written: str, born: str, phone: bool, email: bool, place: str,
    postcode: bool, number: bool,
) -> bool:  # fmt: skip
    """Whether a person should decide, where the name or the date does not quite agree."""
    reached = phone or email or place == "place"
    near = reached or place == "place_alike" or postcode
    same_name = name or written == "written"
    if phone + email + (place == "place") >= 2 and _a_word_in_common(one, other) and born in ("born_slip", "born_missing"):
        return True  # another family name and a date misread or not given, but two ways to reach them agree
    if number:
        return alike >= RATHER or same_name or born == "born"
    if born == "born":  # the name differs: a slip, another reading, a name before marriage
        return alike >= ALIKE or written == "written" or (reached and (alike >= RATHER or _a_word_in_common(one, other)))
    if born == "born_slip":
        return (same_name or alike >= ALIKE) and (near or (name and written != "written_differs"))
    if born == "born_missing":
        return (same_name and near) or (alike >= ALIKE and reached)
    # Another date altogether: kana and telephone, or the written name with them.
    return (same_name or alike >= SAME_WORD) and (phone or email or (place == "place" and written == "written"))


def _same_name(one: Folded, other: Folded) -> bool:
    """Whether the readings are the same; where one has none, the Latin spelling or the name as written."""
    if one.kana and other.kana:
        return _same_words(one.kana, other.kana)
    if one.latin and other.latin:
        return _same_words(one.latin, other.latin)
    if one.written and other.written and _same_words(one.written, other.written):
        return True
    return any(_same_words(a, b) for a, b in ((one.sound, other.latin), (one.latin, other.sound)) if a and b)


def _in_two_scripts(one: Folded, other: Folded) -> bool:
    """Whether one name is known in kana only and the other in Latin letters only."""
    return not (one.sound and other.sound) and not (one.latin and other.latin) and bool(one.sound or one.latin)


def _same_words(one: str, other: str) -> bool:
    """Spaces are forgiven; so is the order of words where both have them."""
    if one == other or one.replace(" ", "") == other.replace(" ", ""):
        return True
    if " " in one and " " in other:
        return sorted(one.split()) == sorted(other.split())
    if " " in one or " " in other:  # only one has spaces: the words in the other order, run together
        spaced, run = (one, other) if " " in one else (other, one)
        return "".join(reversed(spaced.split())) == run
    return False


def _alike(one: Folded, other: Folded) -> float:
    """How alike the names sound or look, of 100."""
    best = 0.0
    for a in (one.sound, one.latin):
        if a:
            for b in (other.sound, other.latin):
                if b:
                    best = max(best, fuzz.token_sort_ratio(a, b), fuzz.ratio(a.replace(" ", ""), b.replace(" ", "")))
    if one.written and other.written:
        best = max(best, fuzz.ratio(one.written.replace(" ", ""), other.written.replace(" ", "")))
    return best


def _a_word_in_common(one: Folded, other: Folded) -> bool:
    """The given name stayed, the family name changed; or the other way round in the register."""
    for a, b in ((one.sound, other.sound), (one.latin, other.latin), (one.written, other.written)):
        if a and b and (_holds_a_word_of(a, b) or _holds_a_word_of(b, a)):
            return True
    return False


def _holds_a_word_of(name: str, other: str) -> bool:
    words = other.split()
    if " " in name:
        return not set(name.split()).isdisjoint(words)
    return len(words) > 1 and any(name.startswith(word) or name.endswith(word) for word in words if len(word) > 2 or not word.isascii())


def _written(one: Folded, other: Folded) -> str:
    """The same, or differing where both are written in the same script; otherwise it says nothing."""
    a, b = one.written.replace(" ", ""), other.written.replace(" ", "")
    if not a or not b:
        return ""
    if a == b or letters_of(a) == letters_of(b):
        return "written"
    if a.isascii() and b.isascii():
        return "" if _same_words(one.latin, other.latin) else "written_differs"
    return "written_differs" if _in_kanji(a) and _in_kanji(b) else ""


def _in_kanji(text: str) -> bool:
    return any("㐀" <= sign <= "鿿" or "豈" <= sign <= "﫿" or sign >= "\U00020000" for sign in text)


def _born(one: date | None, other: date | None) -> str:
    if one is None or other is None:
        return "born_missing"
    if one == other:
        return "born"
    return "born_slip" if _slipped(one, other) else "born_differs"


def _slipped(one: date, other: date) -> bool:
    """One digit wrong, two neighbours changed places, day and month changed places, or a year read in another era."""
    a, b = one.strftime("%Y%m%d"), other.strftime("%Y%m%d")
    wrong = [at for at in range(8) if a[at] != b[at]]
    if len(wrong) == 1:
        return True
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1 and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]:
        return True
    if one.year == other.year and (one.month, one.day) == (other.day, other.month):
        return True
    eras = {abs(x - y) for x in (1911, 1925, 1988, 2018) for y in (1911, 1925, 1988, 2018)} - {0}
    return (one.month, one.day) == (other.month, other.day) and abs(one.year - other.year) in eras


def _place(one: Folded, other: Folded) -> str:
    if not one.place or not other.place:
        return ""
    if one.place == other.place:
        return "place"
    return "place_alike" if fuzz.ratio(one.place, other.place) >= PLACES else ""


def _score(
    level: str, alike: float, born: str, reached: int, place: str, postcode: bool, number: bool, against: int
) -> int:
    found = 4.0 * alike + {"born": 250, "born_slip": 120, "born_missing": 60}.get(born, 0)
    found += 90 * reached + (40 if place == "place_alike" else 0) + (20 if postcode else 0) + (150 if number else 0)
    return max(0, min(1000, round(found - 40 * against)))
