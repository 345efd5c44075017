"""
Whether the bank accounts and addresses in a package could be paid at all, judged from their text.

They only warn: a wrong one leaves the ledger right, and its customer will be asked for another. Pure.
"""

from collections.abc import Callable, Sequence
from functools import cache

from administration.ledger import package
from administration.rails import accounts, addresses, quick
from administration.rails.interface import Remark

Problem = tuple[str, str, str]  # kind, column, reason

# Which column a remark of the rails speaks of, and the word the package's findings have for it.
_BANK_COLUMNS = {
    "bank_form": "bank_code",
    "unknown_bank": "bank_code",
    "branch_form": "branch_code",
    "unknown_branch": "branch_code",
    "number_form": "number",
    "bank_form_respelled": "bank_code",
    "branch_form_respelled": "branch_code",
    "number_form_respelled": "number",
    "kind": "kind",
}


def plainly_good(file: str, lines: Sequence[str]) -> list[bool]:
    """Of each row of a table whether it is plainly good, which nearly all are. Of others the whole check says what is wrong."""
    good = _bank_is_plainly_good if file == package.BANK_ACCOUNTS.file else _address_is_plainly_good
    return ['"' not in line and good(line.split(",")) for line in lines]


def _bank_is_plainly_good(fields: Sequence[str]) -> bool:
    _account, bank, branch, kind, number, holder = fields
    return (
        (bank, branch) in _branches() and kind in accounts.KINDS and len(number) == 7 and number.isascii()
        and number.isdigit() and _is_party_name(holder)
    )  # fmt: skip


def _address_is_plainly_good(fields: Sequence[str]) -> bool:
    _account, asset, network, address, memo, _day = fields
    return quick.plainly_good(asset, network, address, memo)


def bank_problem(fields: Sequence[str]) -> Problem | None:
    """What is wrong with one row of bank_accounts.csv: account, bank, branch, kind, number, holder."""
    _account, bank, branch, kind, number, holder = fields
    if _bank_is_plainly_good(fields):
        return None  # the whole check says the same, but slower
    found = accounts.check(bank, branch, kind, number, holder)
    for remark in found.errors or [remark for remark in found.warnings if remark.code in _BANK_COLUMNS]:
        return remark.code, _BANK_COLUMNS.get(remark.code, "holder_kana"), remark.text
    return None


def address_problem(fields: Sequence[str]) -> Problem | None:
    """What is wrong with one row of withdrawal_addresses.csv: account, asset, network, address, memo, day."""
    _account, asset, network, address, memo, _day = fields
    if quick.plainly_good(asset, network, address, memo):
        return None
    found = addresses.check(asset, network, address, memo)
    if found.errors:
        return _named(found.errors[0])
    read = found.normalized.get("address", address)
    if address != read and address.strip() == read:
        return "respelled", "address", "The address has spaces around it. It was not taken as it is."
    return None


def is_secret(problem: Problem | None) -> bool:
    """Somebody's key or seed words instead of an address: never stored, and never repeated."""
    return problem is not None and problem[0] == "secret"


def _named(error: Remark) -> Problem:
    kind = (
        "bad_checksum"
        if error.code in ("checksum", "mixed_case", "length", "wrong_checksum_kind", "no_address")
        else error.code
    )
    column = {"unknown_network": "network", "tag": "memo", "memo_not_used": "memo"}.get(error.code, "address")
    return kind, column, error.text


PROBLEMS: dict[str, Callable[[Sequence[str]], Problem | None]] = {
    package.BANK_ACCOUNTS.file: bank_problem,
    package.WITHDRAWAL_ADDRESSES.file: address_problem,
}


@cache
def _branches() -> frozenset[tuple[str, str]]:
    return frozenset(accounts.branches())


@cache
def _letters() -> frozenset[str]:
    """Letters and digits that a bank file carries as they are."""
    return frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") | {chr(code) for code in range(0xFF71, 0xFF9E)}


def _is_party_name(name: str) -> bool:
    letters = _letters()
    return (
        0 < len(name) <= accounts.HOLDER_BYTES
        and name[0] in letters
        and letters.issuperset(name.translate(_BESIDE_LETTERS))
    )


_BESIDE_LETTERS = str.maketrans("", "", " ().-ﾞﾟ")
