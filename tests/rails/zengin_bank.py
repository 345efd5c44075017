"""The bank of the tests: a house that pays by Zengin, payees with real branches, and the statements the bank writes."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from administration.rails.interface import Item
from administration.rails.zengin import Zengin, read_house
from administration.rails.zengin.layout import layout

DATA = Path(__file__).parent.parent / "data" / "zengin"
DAY = date(2026, 12, 1)
POLICY = {"value_date": "2026-12-01"}


def rail(profile: str = "standard") -> Zengin:
    text = (DATA / "house.toml").read_text().replace('profile = "standard"', f'profile = "{profile}"')
    return Zengin(*read_house(text.encode()))


def to(name: str, bank: str = "0001", branch: str = "001", kind: str = "1", number: str = "0012345") -> dict[str, str]:
    return {"bank_code": bank, "branch_code": branch, "kind": kind, "number": number, "holder_kana": name}


def item(n: int, name: str = "ﾔﾏﾀﾞ ﾀﾛｳ", amount: int = 1000, **where: str) -> Item:
    return Item(f"R{n:010d}", "JPY", amount, 0, to(name, **where))


def era(day: date) -> str:
    return f"{day.year - 2018:02d}{day:%m%d}"


def movement(
    amount: int, *, out: bool, day: date = DAY, inquiry: int = 1, sort: str = "11", remitter: str = "",
    sending_bank: str = "", narrative: str = "", edi: str = "",
) -> dict[str, str | int]:  # fmt: skip
    """A line as the bank's program fills it in."""
    return {
        "inquiry": inquiry, "booked_on": era(day), "moved_on": era(day), "direction": "2" if out else "1", "sort": sort,
        "amount": amount, "remitter": remitter, "sending_bank": sending_bank, "narrative": narrative, "edi": edi,
        "other_bills": 0, "presented_on": 0, "dishonoured_on": 0, "bill_kind": 0, "bill_number": 0, "fellow_branch": 0,
        "remitter_code": 0,
    }  # fmt: skip


def statement(
    movements: Sequence[dict[str, str | int]], *, first: date = DAY, last: date = date(2026, 12, 31),
    opening: int = 10**13, number: str = "0098765", end: bytes = b"\r\n",
) -> bytes:  # fmt: skip
    """The bank's file for these lines, with counts, sums and balances that come out."""
    of = layout("statement")
    came = [int(row["amount"]) for row in movements if row["direction"] == "1"]
    went = [int(row["amount"]) for row in movements if row["direction"] == "2"]
    records = [
        of["header"].write(1, {
            "made_on": era(last), "from_day": era(first), "to_day": era(last), "bank_code": "0005", "branch_code": "001",
            "kind": "1", "number": number, "overdraft": 1, "book": 0, "opening": opening,
        }),
        *(of["movement"].write(line, row) for line, row in enumerate(movements, start=2)),
        of["trailer"].write(0, {
            "credits": len(came), "credits_total": sum(came), "debits": len(went), "debits_total": sum(went),
            "overdraft": 1, "closing": opening + sum(came) - sum(went), "records": len(movements),
        }),
    ]  # fmt: skip
    records.append(of["end"].write(0, {"records": len(records) + 1, "accounts": 1}))
    return b"".join(record + end for record in records)
