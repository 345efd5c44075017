"""
Faults put into a sample on purpose, each written down, so that a test can compare what was found with what was done.

Lines are changed after they are made and before they are hashed: the hashes of a dirty package are right.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random

from administration.ledger import package
from administration.rails import accounts as bank_accounts

_FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")

Change = Callable[[list[str], Random], list[list[str]] | None]


@dataclass(frozen=True, slots=True)
class Dirt:
    """One fault: where it is, as a spreadsheet numbers rows, and what it is."""

    file: str
    row: int | None
    column: str
    kind: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Soiler:
    """Changes about `per_million` in a million rows, by its own generator: the clean rows stay as they would be."""

    def __init__(self, seed: int, per_million: int) -> None:
        self.random = Random(f"henkan dirt {seed}")
        self._threshold = (per_million << 32) // 1_000_000
        self.done: list[Dirt] = []

    def soil(self, table: package.Table, lines: list[str], first_row: int) -> list[str]:
        """The lines with some of them changed or doubled; `first_row` is where the first will stand."""
        ways = _WAYS.get(table.file)
        if not ways:
            return lines
        out: list[str] = []
        for line in lines:
            out.append(line)
            if self.random.getrandbits(32) >= self._threshold:
                continue
            kind, column, change = ways[self.random.randrange(len(ways))]
            (fields,) = csv.reader([line])
            changed = change(list(fields), self.random)
            if changed is None:
                continue  # this row cannot be wrong in that way
            out.pop()
            out.extend(_line(row) for row in changed)
            self.done.append(Dirt(table.file, first_row + len(out) - 1, column, kind))
        return out

    def control_total(self, declared: list[int]) -> None:
        """One control total is off by one unit: the smallest lie, and the hardest to see."""
        place = self.random.randrange(len(declared))
        declared[place] += 1
        self.done.append(Dirt(package.MANIFEST, None, f"control_totals[{place}].declared", "control_total_off_by_one"))


def _line(fields: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(fields)
    return out.getvalue().removesuffix("\r\n")


def _set(table: package.Table, column: str, value: Callable[[str, Random], str | None]) -> Change:
    place = table.header.index(column)

    def change(fields: list[str], random: Random) -> list[list[str]] | None:
        new = value(fields[place], random)
        if new is None or new == fields[place]:
            return None
        fields[place] = new
        return [fields]

    return change


def _twice(fields: list[str], random: Random) -> list[list[str]]:
    return [fields, fields]


def _bad_date(text: str, random: Random) -> str:
    year, month, day = text.split("-")
    ways = (
        f"令和7年{month}月{day}日",
        f"{year}/{month}/{day}",
        f"{year}-02-30",
        f"{day}/{month}/{year[2:]}",
        "46295",
        "",
    )
    return ways[random.randrange(len(ways))]


def _unknown_asset(text: str, random: Random) -> str:
    return ("LUNC", "btc", "ВТС", "ZZZ")[random.randrange(4)]  # the third is Cyrillic


def _too_many_decimals(text: str, random: Random) -> str:
    return f"{text}1" if "." in text else f"{text}.5"


def _not_a_number(text: str, random: Random) -> str:
    return ("NaN", "Infinity", "", "1,234", "△5", "n/a")[random.randrange(6)]


def _exponent(text: str, random: Random) -> str:
    return f"{random.randrange(1, 9)}.{random.randrange(10, 99)}E+0{random.randrange(1, 6)}"


def _full_width(text: str, random: Random) -> str:
    return text.translate(_FULL_WIDTH)


def _unknown_account(text: str, random: Random) -> str:
    return f"X{text[1:]}"


def _to(*values: str) -> Callable[[str, Random], str]:
    """One of a few fixed texts."""
    return lambda text, random: values[random.randrange(len(values))]


def _hidden(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + "\u200b\u202e\ufffd\ue000"[random.randrange(4)] + text[at:]


def _control(text: str, random: Random) -> str:
    return f"{text}\x07"


def _as_dialled(text: str, random: Random) -> str | None:
    return f"0{text[3:5]}-{text[5:9]}-{text[9:]}" if text.startswith("+81") else None


def _after_cutoff(text: str, random: Random) -> str:
    return f"20{27 + random.randrange(60)}{text[4:8]}01"


def _short_number(text: str, random: Random) -> str:
    return text[1:]


def _field_lost(fields: list[str], random: Random) -> list[list[str]]:
    return [fields[:-1]]


def _field_more(fields: list[str], random: Random) -> list[list[str]]:
    return [[*fields, "0"]]


def _unknown_branch(fields: list[str], random: Random) -> list[list[str]] | None:
    bank, branch = package.BANK_ACCOUNTS.header.index("bank_code"), package.BANK_ACCOUNTS.header.index("branch_code")
    for number in range(999, -1, -1):
        if bank_accounts.branch(fields[bank], f"{number:03d}") is None:
            fields[branch] = f"{number:03d}"
            return [fields]
    return None


def _bad_checksum(fields: list[str], random: Random) -> list[list[str]] | None:
    network = fields[package.WITHDRAWAL_ADDRESSES.header.index("network")]
    place = package.WITHDRAWAL_ADDRESSES.header.index("address")
    address = fields[place]
    if network == "book":
        return None
    if network == "ethereum":
        letters = [at for at, char in enumerate(address) if at > 1 and char.isalpha()]
        if address == address.lower() or not letters:  # no checksum to break: break its length instead
            fields[place] = address[:-1]
        else:
            at = letters[random.randrange(len(letters))]
            fields[place] = address[:at] + address[at].swapcase() + address[at + 1 :]
            if fields[place][2:] in (address[2:].lower(), address[2:].upper()):
                fields[place] = address[:-1]
    else:
        at = len(address) - 1 - random.randrange(6)
        fields[place] = address[:at] + ("3" if address[at] == "2" else "2") + address[at + 1 :]
    return [fields]


_WAYS: dict[str, tuple[tuple[str, str, Change], ...]] = {
    package.CUSTOMERS.file: (
        ("bad_date", "birth_or_founding_date", _set(package.CUSTOMERS, "birth_or_founding_date", _bad_date)),
        ("future_date", "birth_or_founding_date", _set(package.CUSTOMERS, "birth_or_founding_date", _after_cutoff)),
        ("empty", "name", _set(package.CUSTOMERS, "name", _to("", "　", " "))),
        ("hidden_character", "name", _set(package.CUSTOMERS, "name", _hidden)),
        ("control_character", "address", _set(package.CUSTOMERS, "address", _control)),
        ("too_long", "nationality", _set(package.CUSTOMERS, "nationality", _to("JPN", "日本国"))),
        ("unusual_form", "phone", _set(package.CUSTOMERS, "phone", _as_dialled)),
        ("unknown_value", "kyc_status", _set(package.CUSTOMERS, "kyc_status", _to("済", "VERIFIED", "1", ""))),
        ("duplicate_customer", "customer_id", _twice),
    ),
    package.ACCOUNTS.file: (
        ("duplicate_account", "account_id", _twice),
        ("bad_date", "opened_on", _set(package.ACCOUNTS, "opened_on", _bad_date)),
        ("future_date", "opened_on", _set(package.ACCOUNTS, "opened_on", _after_cutoff)),
        ("unknown_customer", "customer_id", _set(package.ACCOUNTS, "customer_id", _unknown_account)),
        ("unknown_value", "status", _set(package.ACCOUNTS, "status", _to("open", "ACTIVE", "凍結", ""))),
    ),
    package.BALANCES.file: (
        ("unknown_asset", "asset", _set(package.BALANCES, "asset", _unknown_asset)),
        ("too_many_decimals", "amount", _set(package.BALANCES, "amount", _too_many_decimals)),
        ("not_a_number", "amount", _set(package.BALANCES, "amount", _not_a_number)),
        ("exponent", "amount", _set(package.BALANCES, "amount", _exponent)),
        ("full_width_digits", "amount", _set(package.BALANCES, "amount", _full_width)),
        ("duplicate_balance", "product", _twice),
        ("unknown_account", "account_id", _set(package.BALANCES, "account_id", _unknown_account)),
        ("unknown_value", "product", _set(package.BALANCES, "product", _to("futures", "SPOT", "現物", ""))),
        ("empty", "asset", _set(package.BALANCES, "asset", _to(""))),
        ("ragged_row", "", _field_lost),
        ("ragged_row", "", _field_more),
    ),
    package.BANK_ACCOUNTS.file: (
        ("unknown_branch", "branch_code", _unknown_branch),
        ("unknown_bank", "bank_code", _set(package.BANK_ACCOUNTS, "bank_code", _to("9998", "9997"))),
        ("number_form", "number", _set(package.BANK_ACCOUNTS, "number", _short_number)),
        ("unknown_value", "kind", _set(package.BANK_ACCOUNTS, "kind", _to("普通", "3", ""))),
        ("unknown_account", "account_id", _set(package.BANK_ACCOUNTS, "account_id", _unknown_account)),
        ("duplicate_row", "account_id", _twice),
    ),
    package.WITHDRAWAL_ADDRESSES.file: (
        ("bad_checksum", "address", _bad_checksum),
        ("bad_date", "whitelisted_on", _set(package.WITHDRAWAL_ADDRESSES, "whitelisted_on", _bad_date)),
        ("unknown_asset", "asset", _set(package.WITHDRAWAL_ADDRESSES, "asset", _to("LUNC", "ZZZ"))),
        ("duplicate_row", "memo", _twice),
    ),
}
KINDS = frozenset({kind for ways in _WAYS.values() for kind, _, _ in ways}) | {"control_total_off_by_one"}
# What is only remarked on: the package is not refused for it.
REMARKS = frozenset({
    "future_date", "hidden_character", "unusual_form", "unknown_branch", "unknown_bank", "number_form", "bad_checksum",
})  # fmt: skip
