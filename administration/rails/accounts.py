"""
Japanese bank accounts: does this branch exist, and can the payee's name travel in a bank file?

Bank and branch codes are those of the `zengin-code` package, whose date is `data_date()`. Names are brought to the
half-width kana of Zengin's PARTY_NAME class, one byte a character, and never guessed: a kanji has many readings, and
the receiving bank compares what we send.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from administration.rails.interface import Check, Remark

KINDS = {"1": "普通", "2": "当座", "4": "貯蓄", "9": "その他"}
YUCHO = "9900"
HOLDER_BYTES = 30
EDI_BYTES = 20

# Legal forms and what banks write for them. Head: ｶ)X; tail: X(ｶ. The longest first, so that none hides another.
_FORMS = (
    ("特定非営利活動法人", "トクテイヒエイリカツドウホウジン", "ﾄｸﾋ"),
    ("一般社団法人", "イッパンシャダンホウジン", "ｼﾔ"),
    ("公益社団法人", "コウエキシャダンホウジン", "ｼﾔ"),
    ("一般財団法人", "イッパンザイダンホウジン", "ｻﾞｲ"),
    ("公益財団法人", "コウエキザイダンホウジン", "ｻﾞｲ"),
    ("独立行政法人", "ドクリツギョウセイホウジン", "ﾄﾞｸ"),
    ("社会福祉法人", "シャカイフクシホウジン", "ﾌｸ"),
    ("司法書士法人", "シホウショシホウジン", "ｼﾎｳ"),
    ("行政書士法人", "ギョウセイショシホウジン", "ｷﾞﾖ"),
    ("弁護士法人", "ベンゴシホウジン", "ﾍﾞﾝ"),
    ("税理士法人", "ゼイリシホウジン", "ｾﾞｲ"),
    ("国立大学法人", "コクリツダイガクホウジン", "ﾀﾞｲ"),
    ("医療法人", "イリョウホウジン", "ｲ"),
    ("宗教法人", "シュウキョウホウジン", "ｼﾕｳ"),
    ("学校法人", "ガッコウホウジン", "ｶﾞｸ"),
    ("相互会社", "ソウゴガイシャ", "ｿ"),
    ("株式会社", "カブシキガイシャ", "ｶ"),
    ("株式会社", "カブシキカイシャ", "ｶ"),
    ("有限会社", "ユウゲンガイシャ", "ﾕ"),
    ("合同会社", "ゴウドウガイシャ", "ﾄﾞ"),
    ("合資会社", "ゴウシガイシャ", "ｼ"),
    ("合名会社", "ゴウメイガイシャ", "ﾒ"),
)
_SHORT_FORMS = {"(株)": "ｶ", "(有)": "ﾕ", "(同)": "ﾄﾞ", "(資)": "ｼ", "(名)": "ﾒ", "(財)": "ｻﾞｲ", "(社)": "ｼﾔ"}

_SMALL = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_DASHES = str.maketrans(dict.fromkeys("ー‐‑‒–—―−─━", "-"))
_PARTY_NAME = re.compile(r"[ 0-9A-Z().\-ｱ-ﾝﾞﾟ]*")


@dataclass(frozen=True, slots=True)
class Branch:
    """A bank's branch by its codes, with the names people know it by."""

    bank_code: str
    bank_name: str
    branch_code: str
    branch_name: str


class NotKana(ValueError):
    """The name cannot be brought to the characters of a bank file without guessing."""


@cache
def _banks() -> Any:
    from zengin_code import Bank  # reads 1,400 files; wanted only where an account is checked

    return Bank.all


def data_date() -> date:
    """The day of the bank and branch codes in use."""
    import zengin_code

    day = zengin_code.__version__.rsplit(".", 1)[1]
    return date(int(day[:4]), int(day[4:6]), int(day[6:8]))


def bank_name(bank_code: str) -> str | None:
    bank = _banks().get(bank_code)
    return None if bank is None else str(bank.name)


def bank_kana(bank_code: str) -> str:
    """The bank's name in full-width kana; "" where there is no such bank."""
    bank = _banks().get(bank_code)
    return "" if bank is None else str(bank.kana)


def branch_kana(bank_code: str, branch_code: str) -> str:
    """The branch's name in full-width kana; "" where these codes name none."""
    bank = _banks().get(bank_code)
    found = bank.branches.get(branch_code) if bank else None
    return "" if found is None else str(found.kana)


def branch(bank_code: str, branch_code: str) -> Branch | None:
    """The branch, or None where these codes name none."""
    bank = _banks().get(bank_code)
    found = bank.branches.get(branch_code) if bank else None
    return Branch(bank_code, bank.name, branch_code, found.name) if found else None


def branches() -> tuple[tuple[str, str], ...]:
    """Every (bank code, branch code) there is, in order."""
    return tuple((code, number) for code, bank in sorted(_banks().items()) for number in sorted(bank.branches))


def party_name(text: str) -> str:
    """
    The name as a bank file carries it: half-width kana, capital Latin letters, digits, and ( ) - . and space.

    Small kana become large, ー becomes -, ヲ becomes ｵ, a middle dot a space. Raises NotKana for what would have to be
    guessed: kanji, other alphabets, letters with accents, other symbols.
    """
    import jaconv  # wanted only where names are checked

    name = unicodedata.normalize("NFKC", text).strip()
    name = jaconv.hira2kata(name).upper()
    name = _legal_form(name)
    name = name.translate(_DASHES).replace("・", " ").translate(_SMALL).replace("ヲ", "オ")
    name = jaconv.z2h(name, kana=True, ascii=True, digit=True)
    name = name.translate(_DASHES).replace("ｰ", "-")
    name = " ".join(name.split())
    if not _PARTY_NAME.fullmatch(name):
        strange = next(char for char in name if not _PARTY_NAME.fullmatch(char))
        kind = "a kanji" if unicodedata.name(strange, "").startswith("CJK") else "a character no bank file can carry"
        raise NotKana(f"The name contains {strange!r}, {kind}. Write the holder in katakana as in the bank book.")
    return name


def _legal_form(name: str) -> str:
    """Abbreviate a legal form at the head or the tail of a name as banks do: this reads no kanji, it knows the word."""
    for kanji, kana, short in _FORMS:
        for form in (kanji, kana):
            if name.startswith(form) and name != form:
                return f"{unicodedata.normalize('NFKC', short)}){name[len(form) :].strip()}"
            if name.endswith(form) and name != form:
                return f"{name[: -len(form)].strip()}({unicodedata.normalize('NFKC', short)}"
    for form, short in _SHORT_FORMS.items():
        if name.startswith(form):
            return f"{unicodedata.normalize('NFKC', short)}){name[len(form) :].strip()}"
        if name.endswith(form):
            return f"{name[: -len(form)].strip()}({unicodedata.normalize('NFKC', short)}"
    return name


def cut(name: str, size: int = HOLDER_BYTES) -> str:
    """The first `size` characters of a half-width name, never parting a kana from its ﾞ or ﾟ."""
    if len(name) <= size:
        return name
    end = size
    while end and name[end] in "ﾞﾟ":
        end -= 1
    return name[:end].rstrip()


def from_yucho(symbol: str, number: str) -> tuple[str, str, str, str] | None:
    """
    Bank, branch, kind and number of a Yucho account given as 記号・番号, or None where that is not one.

    記号 1XYZ0 is branch XY8, an ordinary account whose 番号 loses its last digit; 0XYZ0 is branch XY9, a current one.
    """
    if not re.fullmatch(r"[01][0-9]{3}0", symbol, re.ASCII) or not re.fullmatch(r"[0-9]{1,8}", number, re.ASCII):
        return None
    if symbol[0] == "1":
        return (YUCHO, f"{symbol[1:3]}8", "1", number[:-1].zfill(7)) if number.endswith("1") else None
    return (YUCHO, f"{symbol[1:3]}9", "2", number.zfill(7)) if len(number) <= 7 else None


def check(bank: str, branch_code: str, kind: str, number: str, holder_kana: str) -> Check:
    """
    Whether yen can be sent there, judged from the text alone. Whether the account is theirs, only the bank knows.

    A bank or branch we do not know is an error that an administrator may override with a reason: our codes are as old
    as `data_date()`.
    """
    errors: list[Remark] = []
    warnings: list[Remark] = []

    def form(value: str, digits: int, code: str, what: str) -> str:
        plain = unicodedata.normalize("NFKC", value).strip()
        if not re.fullmatch(rf"[0-9]{{{digits}}}", plain, re.ASCII):
            errors.append(Remark(code, f"{what} has {digits} digits; {value!r} does not."))
            return ""
        if plain != value:
            warnings.append(Remark(f"{code}_respelled", f"{what} was read as {plain}."))
        return plain

    bank_code = form(bank, 4, "bank_form", "A bank code")
    branch_digits = form(branch_code, 3, "branch_form", "A branch code")
    account = form(number, 7, "number_form", "An account number")
    if kind not in KINDS:
        errors.append(
            Remark("kind", f"{kind!r} is no kind of account. Write 1 (普通), 2 (当座), 4 (貯蓄) or 9 (その他).")
        )

    if bank_code and bank_name(bank_code) is None:
        errors.append(Remark("unknown_bank", f"There is no bank {bank_code} in the codes of {data_date()}."))
    elif bank_code and branch_digits and branch(bank_code, branch_digits) is None:
        where = f"{bank_name(bank_code)} ({bank_code})"
        errors.append(Remark("unknown_branch", f"{where} has no branch {branch_digits} in the codes of {data_date()}."))

    holder = ""
    try:
        holder = party_name(holder_kana)
    except NotKana as wrong:
        errors.append(Remark("holder_not_kana", str(wrong)))
    else:
        if not any(char.isalnum() for char in holder):
            errors.append(Remark("holder_missing", "The holder's name is missing. Write it as in the bank book."))
        if len(holder) > HOLDER_BYTES:
            holder = cut(holder)
            warnings.append(
                Remark(
                    "holder_cut", f"Only {HOLDER_BYTES} characters travel to the bank; the name was cut to {holder!r}."
                )
            )

    if errors:
        return Check("bank", errors=tuple(errors), warnings=tuple(warnings))
    normalized = {
        "bank_code": bank_code,
        "branch_code": branch_digits,
        "kind": kind,
        "number": account,
        "holder_kana": holder,
    }
    return Check("bank", normalized, warnings=tuple(warnings))
