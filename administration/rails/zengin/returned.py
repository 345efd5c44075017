"""
Which file a debit pays, and which transfer a credit brings back. A machine says so only where one answer is possible.

A file's transfers leave the account as one debit of their exact sum. A transfer that could not be credited comes back a
day or two later as a credit of its amount, with the payee's name and bank as the bank writes them, or without. Anything
else than exactly one candidate is left to a person, with the candidates.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeAlias

from administration.rails.zengin.statements import CORRECTION, Movement

EARLY, LATE = timedelta(days=7), timedelta(days=14)  # a file is debited so long before or after its value date
COMES_BACK = timedelta(days=90)
FEE_MAX = 1_100  # what a bank keeps at most of a transfer that comes back
NAME_MIN = 4  # characters of a cut name that still say who it is
_RETURN = re.compile("(?:ｸﾐ|ﾌﾘｺﾐ|ﾌﾘ|ｿｳｷﾝ)?ﾓﾄﾞｼ?|(?:ﾌﾘｺﾐ)?ﾌﾉｳ|ﾍﾝｷﾔｸ|ﾍﾝｷﾝ")  # what banks call a return
_REFERENCE = re.compile(r"R[0-9]{10}", re.ASCII)


class Finding(StrEnum):
    """What became of one line."""

    FILE = "file"  # the debit of one file
    RETURNED = "returned"  # one transfer that came back
    WAITS = "waits"  # of a file whose debit was not seen yet
    AMBIGUOUS = "ambiguous"
    FEE_KEPT = "fee_kept"  # less than the transfer: somebody kept a fee
    DEBITED_TWICE = "debited_twice"
    DEAD_DEBITED = "dead_file_debited"  # the debit of a file that was refused, or found not paid
    UNKNOWN_DEBIT = "unknown_debit"
    UNKNOWN_CREDIT = "unknown_credit"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Sent:
    """One transfer of a file that left the house. `bank` is its bank's name in kana, as far as we know it."""

    reference: str
    amount: int
    payee: str
    bank: str = ""
    returned: bool = False


@dataclass(frozen=True, slots=True)
class SentFile:
    """One file that left the house. `debited_on` is None until its debit was seen; `dead`: taken for not paid."""

    part: str
    value_date: date
    transfers: tuple[Sent, ...]
    debited_on: date | None = None
    dead: bool = False

    @property
    def total(self) -> int:
        return sum(transfer.amount for transfer in self.transfers)


@dataclass(frozen=True, slots=True)
class Found:
    """What one line speaks of. `candidates` are parts or references; a person chooses where there is no one answer."""

    movement: Movement
    finding: Finding
    part: str = ""
    reference: str = ""
    candidates: tuple[str, ...] = ()


_Pair: TypeAlias = tuple[SentFile, Sent]


def match(movements: Iterable[Movement], files: Sequence[SentFile]) -> tuple[Found, ...]:
    """What each line speaks of: debits first, as what comes back left before. In the order of the lines."""
    lines = list(movements)
    debited = {file.part: file.debited_on for file in files if file.debited_on is not None}
    found: dict[int, Found] = {}
    for place, line in enumerate(lines):
        if line.out:
            found[place] = _debit(line, files, debited)
            if found[place].finding is Finding.FILE:
                debited[found[place].part] = line.booked_on
    book = _Book([file for file in files if not file.dead], debited)
    for place, line in enumerate(lines):
        if not line.out:
            found[place] = book.credit(line)
    return tuple(found[place] for place in range(len(lines)))


def _debit(line: Movement, files: Sequence[SentFile], debited: Mapping[str, date]) -> Found:
    fits = [
        file for file in files
        if file.total == line.amount and file.value_date - EARLY <= line.booked_on <= file.value_date + LATE
    ]  # fmt: skip
    free = [file for file in fits if file.part not in debited]
    alive = [file for file in free if not file.dead]
    names = tuple(file.part for file in free or fits)
    if line.sort == CORRECTION:
        return Found(line, Finding.CORRECTION, candidates=names)
    if free and not alive:
        return Found(line, Finding.DEAD_DEBITED, candidates=names)
    if len(free) == 1:
        return Found(line, Finding.FILE, part=free[0].part)
    if free:  # also where one of them is dead: it may be this one that was paid after all
        return Found(line, Finding.AMBIGUOUS, candidates=names)
    return Found(line, Finding.DEBITED_TWICE if fits else Finding.UNKNOWN_DEBIT, candidates=names)


class _Book:
    """The transfers that left, and which of them came back."""

    def __init__(self, files: Sequence[SentFile], debited: Mapping[str, date]) -> None:
        self.debited = debited
        self.gone = {transfer.reference for file in files for transfer in file.transfers if transfer.returned}
        self.by_reference: dict[str, _Pair] = {}
        self.by_amount: dict[int, list[_Pair]] = {}
        for file in files:
            for transfer in file.transfers:
                self.by_reference[transfer.reference] = (file, transfer)
                self.by_amount.setdefault(transfer.amount, []).append((file, transfer))

    def credit(self, line: Movement) -> Found:
        """A credit is a return only if it says so: by a word, by our reference, or by a payee's name."""
        found = self._credit(line)
        if found.finding is Finding.RETURNED:
            self.gone.add(found.reference)
        return found

    def _credit(self, line: Movement) -> Found:
        said = _RETURN.search(line.narrative + " " + line.remitter + " " + line.edi) is not None
        words = set(_REFERENCE.findall(f"{line.edi} {line.narrative} {line.remitter}"))
        named = [pair for word in sorted(words) for pair in self._open(self.by_reference.get(word), line)]
        if not named:
            near = range(line.amount, line.amount + FEE_MAX + 1)
            all_near = [pair for amount in near for pair in self._open(self.by_amount.get(amount), line)]
            named = [pair for pair in all_near if _is_name(pair[1].payee, line) and not _other_bank(pair[1], line)]
        exact = [pair for pair in named if pair[1].amount == line.amount]
        if not named and said:
            same = self._open(self.by_amount.get(line.amount), line)
            amounts = [pair for pair in same if not _other_bank(pair[1], line)]
            if _bare(line):
                exact = amounts
            elif amounts:  # the line names somebody, and nobody of that name was sent so much
                return Found(line, Finding.AMBIGUOUS, candidates=_references(amounts))
        if line.sort == CORRECTION:
            return Found(line, Finding.CORRECTION, candidates=_references(exact))
        if len(exact) == 1:
            file, sent = exact[0]
            if file.part not in self.debited:
                return Found(line, Finding.WAITS, candidates=(sent.reference,))
            return Found(line, Finding.RETURNED, file.part, sent.reference)
        if exact:
            return Found(line, Finding.AMBIGUOUS, candidates=_references(exact))
        if named:
            less = all(line.amount < pair[1].amount <= line.amount + FEE_MAX for pair in named)
            return Found(line, Finding.FEE_KEPT if less else Finding.AMBIGUOUS, candidates=_references(named))
        return Found(line, Finding.UNKNOWN_CREDIT)

    def _open(self, found: _Pair | list[_Pair] | None, line: Movement) -> list[_Pair]:
        """Of these, what can have come back that day: it left before, and not so long ago that it is something else."""
        pairs = found if isinstance(found, list) else [found] if found else []
        return [
            (file, sent) for file, sent in pairs
            if sent.reference not in self.gone
            and self.debited.get(file.part, file.value_date - EARLY) <= line.booked_on <= file.value_date + COMES_BACK
        ]  # fmt: skip


def _is_name(payee: str, line: Movement) -> bool:
    """The line names this payee, in full or cut short, with or without spaces."""
    ours = _squeezed(payee)
    for text in (line.remitter, line.narrative):
        theirs = _squeezed(_RETURN.sub("", text))
        if ours and (ours == theirs or (len(theirs) >= NAME_MIN and ours.startswith(theirs))):
            return True
    return False


def _bare(line: Movement) -> bool:
    """The line names nobody: what it says beside the return itself is nothing."""
    rest = _squeezed(_RETURN.sub("", f"{line.remitter} {line.narrative}"))
    return not rest.replace("ﾌﾘｺﾐ", "").strip("().-")


def _other_bank(sent: Sent, line: Movement) -> bool:
    """The line names a bank, and it is another one."""
    theirs, ours = (_squeezed(name).removesuffix("ｷﾞﾝｺｳ") for name in (line.sending_bank, sent.bank))
    return bool(theirs and ours) and not (ours.startswith(theirs) or theirs.startswith(ours))


def _squeezed(text: str) -> str:
    return text.replace(" ", "")


def _references(pairs: Iterable[tuple[SentFile, Sent]]) -> tuple[str, ...]:
    return tuple(sorted(sent.reference for _file, sent in pairs))
