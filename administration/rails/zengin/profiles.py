"""Who pays, and how the bank wants its files: data, never code."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from administration.rails.zengin import kana
from administration.rails.zengin.kana import Characters

RECORDS_MAX, AMOUNT_MAX, TOTAL_MAX = 999_999, 10**10 - 1, 10**12 - 1  # what the fields themselves hold


class LineEnd(StrEnum):
    """What stands between two records."""

    CRLF = "crlf"
    LF = "lf"
    CR = "cr"
    NONE = "none"

    @property
    def content(self) -> bytes:
        return {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r", "none": b""}[self.value]


class NotSetUp(ValueError):
    """The payer or the bank's profile is not written as it must be."""


@dataclass(frozen=True, slots=True)
class BankProfile:
    """How one bank wants its files. What each means is said in profiles.toml."""

    line_end: LineEnd
    last_line_end: bool
    end_mark: bool
    names: bool
    clearing: str
    method: str
    reference: str
    payer_max: int
    payee_max: int
    records_max: int
    amount_max: int
    total_max: int
    days_ahead: int

    def __post_init__(self) -> None:
        limits = {
            "payer_max": 40, "payee_max": 30, "records_max": RECORDS_MAX, "amount_max": AMOUNT_MAX,
            "total_max": TOTAL_MAX, "days_ahead": 31,
        }  # fmt: skip
        for name, highest in limits.items():
            if not 1 <= getattr(self, name) <= highest:
                raise NotSetUp(f"{name} is 1 to {highest}, not {getattr(self, name)}.")
        if self.clearing not in ("", "0000") or self.method not in ("", "7", "8"):
            raise NotSetUp("clearing is 0000 or empty; method is 7, 8 or empty.")
        if self.reference not in ("customer_code", "edi"):
            raise NotSetUp("reference is customer_code or edi.")


@dataclass(frozen=True, slots=True)
class Payer:
    """The estate's own account and its code at the bank, as every file's header names them."""

    code: str
    name: str
    bank_code: str
    branch_code: str
    kind: str
    number: str
    bank_name: str = ""
    branch_name: str = ""

    def __post_init__(self) -> None:
        for name, digits in (("code", 10), ("bank_code", 4), ("branch_code", 3), ("kind", 1), ("number", 7)):
            value = getattr(self, name)
            if not (value.isascii() and value.isdigit() and len(value) == digits):
                raise NotSetUp(f"The payer's {name} has {digits} digits; {value!r} does not.")
        if self.kind not in "129":
            raise NotSetUp("The payer's kind of account is 1 (普通), 2 (当座) or 9 (その他).")
        for name, allowed in (
            ("name", Characters.PARTY), ("bank_name", Characters.BANK), ("branch_name", Characters.BANK),
        ):  # fmt: skip
            strange = kana.look(getattr(self, name), allowed)
            if strange:
                raise NotSetUp(
                    f"The payer's {name} has {strange[0].character!r} in place {strange[0].column}, {strange[0].reason}."
                )
        if not self.name.strip():
            raise NotSetUp("The payer's name is missing. Write it in half-width kana as the bank has it.")

    @property
    def account(self) -> str:
        return f"{self.bank_code}-{self.branch_code}-{self.kind}-{self.number}"


@cache
def known() -> Mapping[str, BankProfile]:
    """The profiles that come with the house."""
    data = tomllib.loads((Path(__file__).parent / "profiles.toml").read_text("utf-8"))
    return {name: _profile(row) for name, row in data.items()}


def _profile(row: Mapping[str, Any]) -> BankProfile:
    names = [field.name for field in fields(BankProfile)]
    strange = sorted(set(row) - set(names)) + sorted(set(names) - set(row))
    if strange:
        raise NotSetUp(f"A bank's profile has {', '.join(names)}; look at {strange[0]}.")
    for field in fields(BankProfile):
        wanted = {"bool": bool, "int": int, "str": str}.get(str(getattr(field.type, "__name__", field.type)), str)
        if type(row[field.name]) is not wanted:
            raise NotSetUp(f"{field.name} is a {wanted.__name__}, not {row[field.name]!r}.")
    try:
        return BankProfile(**{**row, "line_end": LineEnd(row["line_end"])})
    except ValueError as wrong:
        raise NotSetUp(str(wrong)) from None


def read_house(content: bytes) -> tuple[Payer, BankProfile]:
    """
    Who pays and how, from a TOML text: [payer] with its fields, and profile = "NAME" or a table [profile].

    A table may begin with like = "NAME" and say only what differs.
    """
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except ValueError as wrong:  # of the encoding or the syntax
        raise NotSetUp(f"It is no TOML in UTF-8: {wrong}.") from None
    payer, profile = data.get("payer"), data.get("profile", "standard")
    if not isinstance(payer, dict) or set(data) - {"payer", "profile"}:
        raise NotSetUp("It has a table [payer], and profile = “NAME” or a table [profile].")
    names = [field.name for field in fields(Payer)]
    if set(payer) - set(names) or not all(isinstance(value, str) for value in payer.values()):
        raise NotSetUp(f"The payer has {', '.join(names)}, each a text.")
    missing = [name for name in names[:6] if name not in payer]
    if missing:
        raise NotSetUp(f"The payer's {missing[0]} is missing.")
    if isinstance(profile, dict):
        like = profile.get("like", "standard")
        base = _named(like)
        row = {field.name: getattr(base, field.name) for field in fields(BankProfile)}
        row["line_end"] = str(row["line_end"].value)
        found = _profile({**row, **{name: value for name, value in profile.items() if name != "like"}})
    else:
        found = _named(profile)
    return Payer(**payer), found


def _named(name: Any) -> BankProfile:
    if not isinstance(name, str) or name not in known():
        raise NotSetUp(f"There is no profile {name!r}. Known: {', '.join(sorted(known()))}.")
    return known()[name]
