"""
The Zengin rail: yen by a file of transfers (総合振込) that a person uploads at the estate's bank.

Class R3: once a file is out, nobody can be asked what became of it. The bank's statement is the evidence: the debit of
a file's exact sum settles all of it; a later credit brings one transfer back (`returned.match`). The rail's version
binds the payer's account and the bank's profile, so that an approved batch goes out as it was approved or not at all.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from hashlib import sha256
from itertools import pairwise

from administration.rails import accounts
from administration.rails.interface import (
    NOTHING,
    Artifact,
    CannotPrepare,
    Check,
    Destination,
    EvidenceRefused,
    Item,
    Judgement,
    Observation,
    ObservationKind,
    Outcome,
    Policy,
    Prepared,
    RailClass,
    RailDown,
    Remark,
    SignedRefused,
    Snapshot,
    Unknown,
    Verified,
    judge_lines,
)
from administration.rails.zengin import bank_days, kana, returned, statements, transfers
from administration.rails.zengin.kana import Characters
from administration.rails.zengin.layout import Fault, Wrong, sentence
from administration.rails.zengin.profiles import BankProfile, NotSetUp, Payer, read_house
from administration.rails.zengin.transfers import Transfer

JST = timezone(timedelta(hours=9))
YEN = "JPY"
REFERENCE = re.compile(r"R([0-9]{10})", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}", re.ASCII)
NAME_MAX = 15  # of a bank or branch, in a record

__all__ = [
    "BankProfile",
    "FileRefused",
    "NotSetUp",
    "Payer",
    "StatementRefused",
    "Zengin",
    "bank_of",
    "read_house",
    "returned",
]


class FileRefused(CannotPrepare):
    """No file can be made of these items; `faults` says where and why."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(sentence(self.faults))


class StatementRefused(EvidenceRefused):
    """The statement is not what a statement is; `faults` says where and why. Nothing of it was taken."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{sentence(self.faults)} Nothing was read.")


@dataclass(frozen=True, slots=True)
class Zengin:
    """The rail of one payer's account at one bank."""

    payer: Payer
    profile: BankProfile

    code = "zengin"
    rail_class = RailClass.R3
    quiet_period = timedelta(days=7)  # five bank days: after them nothing of a file is on its way any more
    needs_export = True
    can_submit = False
    can_observe = False

    @property
    def version(self) -> str:
        """Another payer or profile is another version."""
        house = {"payer": asdict(self.payer), "profile": asdict(self.profile)}
        said = json.dumps(house, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return f"1-{sha256(said.encode()).hexdigest()[:8]}"

    @property
    def max_items(self) -> int:
        return self.profile.records_max

    def check_destination(self, asset: str, destination: Destination) -> Check:
        """Yen only, to a branch that exists, under a name that a file can carry."""
        names = ("bank_code", "branch_code", "kind", "number", "holder_kana")
        found = accounts.check(*(str(destination.get(name, "")) for name in names))
        errors = list(found.errors)
        if asset != YEN:
            errors.insert(0, Remark("not_yen", f"A bank file carries yen, not {asset}."))
        errors += [
            Remark("holder_not_kana", f"The name has {strange.character!r}, {strange.reason}.")
            for strange in kana.look(found.normalized.get("holder_kana", ""), Characters.PARTY)
        ]
        if errors:
            return Check("bank", errors=tuple(errors), warnings=found.warnings)
        return found

    def split(self, items: Sequence[Item]) -> tuple[tuple[Item, ...], ...]:
        """
        The items in the order of their references, in as many files as the bank's limits ask for.

        No two files have the same sum where that can be helped: the debit then says which file it is.
        """
        files: list[list[Item]] = []
        total = 0
        for item in sorted(items, key=lambda item: item.reference):
            full = files and (len(files[-1]) == self.profile.records_max or total + _yen(item) > self.profile.total_max)
            if not files or full:
                files.append([])
                total = 0
            files[-1].append(item)
            total += _yen(item)
        sums: set[int] = set()
        place = 0
        while place < len(files):
            total = sum(map(_yen, files[place]))
            if total in sums and len(files[place]) > 1:
                following = files[place + 1] if place + 1 < len(files) else None
                last = files[place].pop()
                room = following is not None and len(following) < self.profile.records_max
                if following is not None and room and sum(map(_yen, following)) + _yen(last) <= self.profile.total_max:
                    following.insert(0, last)
                else:
                    files.insert(place + 1, [last])
                continue
            sums.add(total)
            place += 1
        return tuple(map(tuple, files))

    def value_date(self, wanted: date) -> date:
        """The first day from then on on which banks are open."""
        return bank_days.next_open(wanted)

    def carried(self, key: str, payload: bytes) -> tuple[Artifact, ...]:
        """The file to upload at the bank."""
        return (Artifact(f"{key.replace('/', '-')}.txt", "text/plain; charset=shift_jis", payload),)

    def prepare(
        self, key: str, items: Sequence[Item], *, policy: Policy = NOTHING, snapshot: Snapshot = NOTHING
    ) -> Prepared:
        """
        One file, items by reference. The policy names its value_date, a day on which banks are open.

        With `today` in the snapshot, also: a value date not past, and not so far off that a file without a year could
        mean another one. Everything wrong is said at once, by the line it would have.
        """
        if not _KEY.fullmatch(key):
            raise CannotPrepare(f"{key!r} is no submission key. Use letters, digits and . _ : / - only.")
        ordered = sorted(items, key=lambda item: item.reference)
        faults: list[Fault] = []
        value_date = _value_date(policy, snapshot, self.profile, faults)
        made = [self._transfer(line, item, faults) for line, item in enumerate(ordered, start=2)]
        for line, (before, item) in enumerate(pairwise(ordered), start=3):
            if before.reference == item.reference:
                faults.append(Fault(line, 0, f"{item.reference} is in it twice. A return is paid once."))
        whole = [transfer for transfer in made if transfer is not None]
        content = b""
        if len(whole) < len(made):  # no file to be made; what else is wrong is said all the same
            for line, transfer in enumerate(made, start=2):
                faults += transfers.of_one(line, transfer, self.profile) if transfer else []
        else:
            try:
                content = transfers.write(self.payer, value_date, whole, self.profile)
            except Wrong as wrong:
                faults += wrong.faults
        if faults:
            of = {line: item.reference for line, item in enumerate(ordered, start=2)}
            named = [replace(fault, of=of.get(fault.line, "")) for fault in faults]
            raise FileRefused(sorted(named, key=lambda fault: (fault.line, fault.column)))
        self._read_again(content, value_date, whole)
        return Prepared(
            key=key,
            artifacts=self.carried(key, content),
            commitment=sha256(content).hexdigest(),
            conflict_keys=(f"{self.code}:{self.payer.account}:{key}",),
            count=len(ordered),
            totals={YEN: sum(item.amount for item in ordered)},
        )

    def _transfer(self, line: int, item: Item, faults: list[Fault]) -> Transfer | None:
        """One item as its record says it; None where something is wrong with it."""
        before = len(faults)
        to = {name: str(value) for name, value in item.destination.items()}
        if item.asset != YEN:
            faults.append(Fault(line, 81, f"{item.reference} pays {item.asset}; a bank file carries yen."))
        elif item.amount % 10**item.scale:
            faults.append(
                Fault(line, 81, f"{item.reference} pays a part of a yen ({item.amount} of {10**item.scale}).")
            )
        bank, branch = to.get("bank_code", ""), to.get("branch_code", "")
        if accounts.bank_name(bank) is None:
            faults.append(Fault(line, 2, f"There is no bank {bank!r} in the codes of {accounts.data_date()}."))
        elif accounts.branch(bank, branch) is None:
            where = f"{accounts.bank_name(bank)} ({bank})"
            faults.append(Fault(line, 21, f"{where} has no branch {branch!r} in the codes of {accounts.data_date()}."))
        name = to.get("holder_kana", "")
        payee, strange = kana.half_width(name, Characters.PARTY)
        faults += [
            Fault(line, 51, f"The payee's name {name!r} has {one.character!r} in place {one.column}, {one.reason}.")
            for one in strange
        ]
        code, words = "", ""
        if self.profile.reference == "edi":
            said = f"{item.reference} {item.memo}".strip()
            words, strange = kana.half_width(said, Characters.EDI)
            faults += [
                Fault(line, 92, f"The words {said!r} have {one.character!r} in place {one.column}, {one.reason}.")
                for one in strange
            ]
        elif found := REFERENCE.fullmatch(item.reference):
            code = found[1].lstrip("0")
        if not words and not code:
            faults.append(
                Fault(line, 92, f"{item.reference!r} cannot travel as a customer code: R and ten digits can.")
            )
        if len(faults) > before:
            return None
        names = (accounts.bank_kana(bank), accounts.branch_kana(bank, branch)) if self.profile.names else ("", "")
        return Transfer(
            bank, branch, to.get("kind", ""), to.get("number", ""), payee, _yen(item), code_1=code, edi=words,
            bank_name=_name(names[0]), branch_name=_name(names[1]),
        )  # fmt: skip

    def _read_again(self, content: bytes, value_date: date, made: list[Transfer]) -> None:
        """A file is not let out before it was read and says what it should."""
        try:
            back = transfers.read(content)
        except Wrong as wrong:
            raise FileRefused(wrong.faults) from None
        if back.transfers != tuple(made) or (back.month, back.day) != (value_date.month, value_date.day):
            raise FileRefused([Fault(0, 0, "It reads otherwise than it was written.")])

    def verify_signed(self, prepared: Prepared, signed: bytes) -> Verified:
        """Nothing is signed on this rail: what is uploaded must be what was approved."""
        if signed != prepared.payload:
            raise SignedRefused("changed", "This is not the file that was approved. Upload that one.")
        return Verified(signed, (prepared.key,))

    def references(self, content: bytes) -> tuple[tuple[str, Transfer], ...]:
        """What a file of ours pays, each with our reference. Raises FileRefused."""
        try:
            return tuple((_reference(transfer), transfer) for transfer in transfers.read(content).transfers)
        except Wrong as wrong:
            raise FileRefused(wrong.faults) from None

    # ------------------------------------------------------------------------------------------------ evidence

    def movements(self, evidence: bytes) -> tuple[statements.Movement, ...]:
        """The lines of a statement of our account. Raises StatementRefused."""
        try:
            found = statements.read(evidence)
        except Wrong as wrong:
            raise StatementRefused(wrong.faults) from None
        for statement in found:
            if not statement.is_of(self.payer):
                other = f"{statement.bank_code}-{statement.branch_code}-{statement.number}"
                reason = f"It is of the account {other}; ours is {self.payer.account}. Import statements of ours only."
                raise StatementRefused([Fault(1, 23, reason)])
        return tuple(movement for statement in found for movement in statement.movements)

    def read(self, evidence: bytes) -> tuple[Observation, ...]:
        """Money that left may settle a file, money that came may be a return: `returned.match` says of what."""
        return tuple(
            Observation(
                line_ref=movement.ref,
                kind=ObservationKind.SETTLED if movement.out else ObservationKind.RETURNED,
                asset=YEN,
                amount=movement.amount,
                at=datetime.combine(movement.booked_on, time(), JST),
                reason=movement.words,
                raw=movement.raw,
            )
            for movement in self.movements(evidence)
        )

    def judge(self, item: Item, observations: Iterable[Observation], *, now: datetime) -> Judgement:
        return judge_lines(item, observations)

    # ----------------------------------------------------------------------------------------------- calls out

    def submit(self, content: bytes, key: str) -> Outcome:
        """Nothing is sent from here; that it was asked is doubt enough to have people look."""
        return Unknown("A person carries this rail's files. Nothing was sent.")

    def observe(self, cursor: str) -> tuple[tuple[Observation, ...], str]:
        raise RailDown("A bank file's outcome cannot be asked. Import the account's statement.")


def _yen(item: Item) -> int:
    return item.amount // int(10**item.scale)


def bank_of(code: str) -> str:
    """A bank's name as other banks write it in a statement; "" where we do not know it."""
    return kana.half_width(accounts.bank_kana(code), Characters.BANK)[0]


def _name(text: str) -> str:
    """A bank's or branch's name as far as a record has room; blank where a file cannot carry it: the codes say it all."""
    half, strange = kana.half_width(text, Characters.BANK)
    return "" if strange else kana.cut(half, NAME_MAX)


def _reference(transfer: Transfer) -> str:
    if transfer.edi:
        return transfer.edi.split(" ")[0]
    return f"R{transfer.code_1.zfill(10)}" if transfer.code_1 else ""


def _value_date(policy: Policy, snapshot: Snapshot, profile: BankProfile, faults: list[Fault]) -> date:
    """The day the policy names, if the bank carries out transfers on it."""
    said = str(policy.get("value_date", ""))
    try:
        day = date.fromisoformat(said)
    except ValueError:
        faults.append(Fault(1, 55, f"{said!r} is no value date. Name the day on which the money moves."))
        return date(2000, 1, 4)
    closed = bank_days.why_closed(day)
    if closed:
        following = bank_days.next_open(day)
        faults.append(Fault(1, 55, f"Banks are closed on {day}: {closed}. The next open day is {following}."))
    if "today" in snapshot:
        today = date.fromisoformat(str(snapshot["today"]))
        if day < today:
            faults.append(Fault(1, 55, f"The value date {day} is past; today is {today}."))
        elif day > today + timedelta(days=profile.days_ahead):
            faults.append(Fault(1, 55, f"The value date {day} is more than {profile.days_ahead} days ahead."))
    return day
