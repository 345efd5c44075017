"""
The file of transfers (総合振込): one header, a record for each transfer, a trailer with count and sum, an end.

Written and read by the same tables. What is wrong in either direction is said by line and column, and nothing is made
or taken of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from administration.rails.zengin.layout import Fault, Wrong, layout, lines
from administration.rails.zengin.profiles import BankProfile, Payer

KINDS = "1249"  # 普通, 当座, 貯蓄, その他


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer as its record says it. Texts are half-width, figures keep their zeros."""

    bank_code: str
    branch_code: str
    kind: str
    number: str
    payee: str
    amount: int
    code_1: str = ""  # the payer's own numbers for the payee, without their leading zeros
    code_2: str = ""
    edi: str = ""  # words to the payee, which travel in place of both numbers
    bank_name: str = ""
    branch_name: str = ""


@dataclass(frozen=True, slots=True)
class TransferFile:
    """Everything a file says. Its value date has no year: month and day only."""

    payer: Payer
    month: int
    day: int
    transfers: tuple[Transfer, ...]

    @property
    def total(self) -> int:
        return sum(transfer.amount for transfer in self.transfers)


def write(payer: Payer, value_date: date, transfers: Sequence[Transfer], profile: BankProfile) -> bytes:
    """The file's bytes, in the order given. Raises Wrong with everything that is wrong."""
    of = layout("transfers")
    faults = _over_limits(transfers, profile)
    if len(payer.name) > profile.payer_max:
        faults.append(
            Fault(1, 15, f"The payer's name has {len(payer.name)} characters; this bank takes {profile.payer_max}.")
        )
    records: list[bytes] = []

    def add(kind: str, values: dict[str, str | int]) -> None:
        try:
            records.append(of[kind].write(len(records) + 1, values))
        except Wrong as wrong:
            faults.extend(wrong.faults)
            records.append(b"")

    names = profile.names
    add("header", {
        "originator_code": payer.code, "originator_name": payer.name, "value_date": f"{value_date:%m%d}",
        "bank_code": payer.bank_code, "bank_name": payer.bank_name if names else "",
        "branch_code": payer.branch_code, "branch_name": payer.branch_name if names else "",
        "kind": payer.kind, "number": payer.number,
    })  # fmt: skip
    for line, transfer in enumerate(transfers, start=2):
        values: dict[str, str | int] = {
            "bank_code": transfer.bank_code, "bank_name": transfer.bank_name if names else "",
            "branch_code": transfer.branch_code, "branch_name": transfer.branch_name if names else "",
            "clearing": profile.clearing, "kind": transfer.kind, "number": transfer.number,
            "payee": transfer.payee, "amount": transfer.amount, "new_code": "0", "method": profile.method,
        }  # fmt: skip
        faults += of_one(line, transfer, profile)
        if transfer.edi:
            add("transfer_edi", {**values, "edi": transfer.edi, "edi_flag": "Y"})
        else:
            codes = {"customer_code_1": transfer.code_1 or "0", "customer_code_2": transfer.code_2 or "0"}
            add("transfer", {**values, **codes, "edi_flag": ""})
    add("trailer", {"count": len(transfers), "total": sum(transfer.amount for transfer in transfers)})
    add("end", {})
    if faults:
        raise Wrong(sorted(faults, key=lambda fault: (fault.line, fault.column)))
    end = profile.line_end.content
    return end.join(records) + (end if profile.last_line_end else b"") + (b"\x1a" if profile.end_mark else b"")


def _over_limits(transfers: Sequence[Transfer], profile: BankProfile) -> list[Fault]:
    """What is too much for one file of this bank."""
    faults = []
    total = sum(transfer.amount for transfer in transfers)
    if not transfers:
        faults.append(Fault(0, 0, "There is no transfer in it."))
    if len(transfers) > profile.records_max:
        faults.append(Fault(0, 0, f"{len(transfers)} transfers; this bank takes {profile.records_max} in one file."))
    if total > profile.total_max:
        faults.append(Fault(0, 0, f"{total} yen in all; this bank takes {profile.total_max} in one file."))
    return faults


def of_one(line: int, transfer: Transfer, profile: BankProfile) -> list[Fault]:
    """What the record's form does not say: the bank's limits, and what a transfer must have."""
    faults = []
    if not 1 <= transfer.amount <= profile.amount_max:
        faults.append(Fault(line, 81, f"{transfer.amount} yen; a transfer is 1 to {profile.amount_max}."))
    if transfer.kind not in KINDS or len(transfer.kind) != 1:
        faults.append(Fault(line, 43, f"{transfer.kind!r} is no kind of account (1, 2, 4 or 9)."))
    for value, size, column, what in (
        (transfer.bank_code, 4, 2, "bank code"), (transfer.branch_code, 3, 21, "branch code"),
        (transfer.number, 7, 44, "account number"),
    ):  # fmt: skip
        if len(value) != size:
            faults.append(Fault(line, column, f"The {what} {value!r} has not {size} digits."))
    if not any(character.isalnum() for character in transfer.payee):
        faults.append(Fault(line, 51, "The payee's name is missing."))
    elif len(transfer.payee) > profile.payee_max:
        faults.append(
            Fault(
                line, 51 + profile.payee_max,
                f"The payee's name {transfer.payee!r} has {len(transfer.payee)} characters; {profile.payee_max} fit.",
            )
        )  # fmt: skip
    if transfer.edi and (transfer.code_1 or transfer.code_2):
        faults.append(Fault(line, 92, "EDI words and customer codes share one place; a transfer has either."))
    return faults


def read(content: bytes) -> TransferFile:
    """The file as it says itself, whatever profile it was written under. Raises Wrong."""
    of = layout("transfers")
    header: dict[str, str] = {}
    transfers: list[Transfer] = []
    faults: list[Fault] = []
    stage, last = "start", 0
    for line, record in lines(content, of.length):
        last = line
        mark = record[:1].decode("ascii", "replace")
        following = {"start": "1", "header": "2", "transfers": "28", "trailer": "9", "end": ""}[stage]
        if mark not in following or not mark:
            raise Wrong([*faults, Fault(line, 1, _out_of_place(mark, stage))])
        try:
            if mark == "1":
                stage, header = "header", of["header"].read(line, record)
                faults += _of_header(header)
            elif mark == "2":
                stage = "transfers"
                transfers.append(_transfer(line, record, faults))
            elif mark == "8":
                stage = "trailer"
                faults += _of_trailer(line, of["trailer"].read(line, record), transfers, bool(faults))
            else:
                stage = "end"
                of["end"].read(line, record)
        except Wrong as wrong:
            faults += wrong.faults
    if stage != "end":
        faults.append(Fault(last + 1, 0, f"The file ends after its {stage}; its end record is missing."))
    if faults:
        raise Wrong(faults)
    day = header["value_date"]
    return TransferFile(_payer(header), int(day[:2]), int(day[2:]), tuple(transfers))


def _out_of_place(mark: str, stage: str) -> str:
    names = {"1": "a header", "2": "a transfer", "8": "a trailer", "9": "an end"}
    what = names.get(mark)
    if what is None:
        return f"{mark!r} begins no record of such a file."
    return f"{what} at the start of the file." if stage == "start" else f"{what} after the {stage}."


def _of_header(header: dict[str, str]) -> Iterable[Fault]:
    month, day = int(header["value_date"][:2]), int(header["value_date"][2:])
    try:
        date(2024, month, day)  # a leap year: the file says none
    except ValueError:
        yield Fault(1, 55, f"{header['value_date']} is no day of a year.")
    if header["kind"] not in "129":
        yield Fault(1, 96, f"{header['kind']} is no kind of account of a payer (1, 2 or 9).")
    if not header["originator_name"].strip():
        yield Fault(1, 15, "The payer's name is missing.")


def _transfer(line: int, record: bytes, faults: list[Fault]) -> Transfer:
    of = layout("transfers")
    edi = record[112:113] == b"Y"
    row = of["transfer_edi" if edi else "transfer"].read(line, record)
    amount = int(row["amount"])
    if amount == 0:
        faults.append(Fault(line, 81, "The amount is nothing."))
    if row["kind"] not in KINDS:
        faults.append(Fault(line, 43, f"{row['kind']} is no kind of account (1, 2, 4 or 9)."))
    if not row["payee"].strip():
        faults.append(Fault(line, 51, "The payee's name is missing."))
    elif row["payee"].startswith(" "):
        faults.append(Fault(line, 51, "The payee's name begins with a space."))
    return Transfer(
        row["bank_code"], row["branch_code"], row["kind"], row["number"], row["payee"], amount,
        "" if edi else row["customer_code_1"].lstrip("0"), "" if edi else row["customer_code_2"].lstrip("0"),
        row["edi"] if edi else "", row["bank_name"], row["branch_name"],
    )  # fmt: skip


def _of_trailer(line: int, row: dict[str, str], transfers: list[Transfer], broken: bool) -> Iterable[Fault]:
    if broken:
        return  # a record that could not be read is not counted: it was named already
    if int(row["count"]) != len(transfers):
        yield Fault(line, 2, f"It counts {int(row['count'])} transfers; the file has {len(transfers)}.")
    total = sum(transfer.amount for transfer in transfers)
    if int(row["total"]) != total:
        yield Fault(line, 8, f"Its sum is {int(row['total'])} yen; the transfers come to {total}.")


def _payer(header: dict[str, str]) -> Payer:
    return Payer(
        header["originator_code"], header["originator_name"], header["bank_code"], header["branch_code"], header["kind"],
        header["number"], header["bank_name"], header["branch_name"],
    )  # fmt: skip
