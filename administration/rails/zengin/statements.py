"""
The bank's statement of the estate's account (入出金取引明細, 200 bytes): read strictly, or refused by line and column.

A statement is whole when its counts, sums and balances come out. Its years are those of the era, two digits without the
era's name: Reiwa, as no statement of an earlier one is wanted here. One line says either that money left (the debit of a
file's exact total settles the file) or that some came in (perhaps a transfer that was returned).
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from administration.rails.zengin.layout import Fault, Wrong, layout, lines
from administration.rails.zengin.profiles import Payer

REIWA = 2018  # the year before its first
IN, OUT = "1", "2"
CORRECTION = "19"  # 訂正: the bank takes back what it booked itself
_SIGNS = {"1": 1, "2": -1, "0": 1}


@dataclass(frozen=True, slots=True)
class Movement:
    """One line: money that came in or went out. `ref` is the same in every statement that has this line."""

    line: int
    ref: str
    booked_on: date
    out: bool
    amount: int
    sort: str
    inquiry: str
    remitter: str
    sending_bank: str
    sending_branch: str
    narrative: str
    edi: str
    raw: str

    @property
    def words(self) -> str:
        """What the bank wrote about it, for a person."""
        said = (self.narrative, self.remitter, self.sending_bank, self.sending_branch, self.edi)
        return " / ".join(text for text in said if text)


@dataclass(frozen=True, slots=True)
class Statement:
    """One account's movements over some days, with the balances before and after them."""

    bank_code: str
    branch_code: str
    kind: str
    number: str
    from_day: date
    to_day: date
    opening: int
    closing: int
    movements: tuple[Movement, ...]

    def is_of(self, payer: Payer) -> bool:
        ours = (payer.bank_code, payer.branch_code, payer.number.zfill(10))
        return (self.bank_code, self.branch_code, self.number) == ours


def era_day(text: str, line: int, column: int, what: str) -> date:
    """A day written YYMMDD with the year of Reiwa. Raises Wrong."""
    try:
        year = int(text[:2])
        if year == 0:
            raise ValueError
        return date(REIWA + year, int(text[2:4]), int(text[4:]))
    except ValueError:
        raise Wrong([Fault(line, column, f"{what} {text!r} is no day (year of Reiwa, month, day).")]) from None


def read(content: bytes) -> tuple[Statement, ...]:
    """Every account's part of the file. Raises Wrong; then nothing of it is taken."""
    of = layout("statement")
    reader = _Reader()
    last = 0
    for line, record in lines(content, of.length):
        last = line
        reader.take(line, record)
    if reader.stage != "end":
        reader.faults.append(Fault(last + 1, 0, f"The file ends after its {reader.stage}; its end record is missing."))
    if reader.faults:
        raise Wrong(reader.faults)
    return tuple(reader.statements)


class _Reader:
    """Where in the file we are, and what of the account at hand was read."""

    def __init__(self) -> None:
        self.stage = "start"
        self.faults: list[Fault] = []
        self.statements: list[Statement] = []
        self.header: dict[str, str] = {}
        self.movements: list[Movement] = []
        self.seen: Counter[bytes] = Counter()
        self.records = 0  # of movements, in the whole file
        self.whole = True  # every movement of the account at hand could be read

    def take(self, line: int, record: bytes) -> None:
        following = {"start": "1", "header": "28", "movements": "28", "trailer": "19", "end": ""}[self.stage]
        mark = record[:1].decode("ascii", "replace")
        if mark not in following or not mark:
            raise Wrong([*self.faults, Fault(line, 1, f"{mark!r} begins no record that may follow the {self.stage}.")])
        try:
            if mark == "1":
                self.stage, self.movements, self.whole = "header", [], True
                self.header = layout("statement")["header"].read(line, record)
                self._days(line)
            elif mark == "2":
                self.stage = "movements"
                self.records += 1
                self.movements.append(self._movement(line, record))
            elif mark == "8":
                self.stage = "trailer"
                self._trailer(line, layout("statement")["trailer"].read(line, record))
            else:
                self.stage = "end"
                self._end(line, layout("statement")["end"].read(line, record))
        except Wrong as wrong:
            self.faults += wrong.faults
            if mark == "1":
                raise Wrong(self.faults) from None  # nothing after it can be judged
            self.whole = False

    def _days(self, line: int) -> None:
        era_day(self.header["made_on"], line, 5, "The day it was made")
        first = era_day(self.header["from_day"], line, 11, "Its first day")
        last = era_day(self.header["to_day"], line, 17, "Its last day")
        if first > last:
            raise Wrong([Fault(line, 11, f"Its first day {first} is after its last {last}.")])
        if self.header["overdraft"] not in _SIGNS:
            raise Wrong([Fault(line, 114, f"{self.header['overdraft']} says neither plus (1) nor minus (2).")])

    def _movement(self, line: int, record: bytes) -> Movement:
        row = layout("statement")["movement"].read(line, record)
        booked_on = era_day(row["booked_on"], line, 10, "The booking day")
        faults = []
        if not self.header["from_day"] <= row["booked_on"] <= self.header["to_day"]:
            faults.append(Fault(line, 10, f"It was booked on {booked_on}, outside the statement's days."))
        if row["direction"] not in (IN, OUT):
            faults.append(Fault(line, 22, f"{row['direction']} says neither in (1) nor out (2)."))
        amount = int(row["amount"])
        if amount == 0:
            faults.append(Fault(line, 25, "The amount is nothing."))
        if faults:
            raise Wrong(faults)
        self.seen[record] += 1
        account = "-".join(self.header[name] for name in ("bank_code", "branch_code", "kind", "number"))
        ref = sha256(f"{account}\n{self.seen[record]}\n".encode() + record).hexdigest()[:32]
        return Movement(
            line, ref, booked_on, row["direction"] == OUT, amount, row["sort"], row["inquiry"], row["remitter"].strip(),
            row["sending_bank"].strip(), row["sending_branch"].strip(), row["narrative"].strip(), row["edi"].strip(),
            record.decode("cp932").rstrip(),
        )  # fmt: skip

    def _trailer(self, line: int, row: dict[str, str]) -> None:
        if row["overdraft"] not in _SIGNS:
            raise Wrong([Fault(line, 40, f"{row['overdraft']} says neither plus (1) nor minus (2).")])
        opening = _SIGNS[self.header["overdraft"]] * int(self.header["opening"])
        closing = _SIGNS[row["overdraft"]] * int(row["closing"])
        if self.whole:  # a line that could not be read was named already, and is in no sum
            came = [movement.amount for movement in self.movements if not movement.out]
            went = [movement.amount for movement in self.movements if movement.out]
            wanted = (
                ("credits", 2, len(came), "credits"), ("credits_total", 8, sum(came), "yen of credits"),
                ("debits", 21, len(went), "debits"), ("debits_total", 27, sum(went), "yen of debits"),
                ("records", 55, len(self.movements), "movements"),
            )  # fmt: skip
            for name, column, counted, what in wanted:
                if int(row[name]) != counted:
                    self.faults.append(
                        Fault(line, column, f"It says {int(row[name])} {what}; its lines come to {counted}.")
                    )
            if opening + sum(came) - sum(went) != closing:
                ends = opening + sum(came) - sum(went)
                self.faults.append(
                    Fault(line, 41, f"It ends with {closing} yen; its lines lead from {opening} to {ends}.")
                )
        self.statements.append(
            Statement(
                self.header["bank_code"], self.header["branch_code"], self.header["kind"], self.header["number"],
                era_day(self.header["from_day"], 1, 11, "Its first day"),
                era_day(self.header["to_day"], 1, 17, "Its last day"), opening, closing, tuple(self.movements),
            )
        )  # fmt: skip

    def _end(self, line: int, row: dict[str, str]) -> None:
        if int(row["accounts"]) != len(self.statements):
            self.faults.append(
                Fault(line, 12, f"It counts {int(row['accounts'])} accounts; the file has {len(self.statements)}.")
            )
        # Banks count all records, or all before this one, or the movements alone.
        if int(row["records"]) not in (line, line - 1, self.records):
            self.faults.append(Fault(line, 2, f"It counts {int(row['records'])} records; the file has {line}."))
