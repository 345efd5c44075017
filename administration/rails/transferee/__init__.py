"""
The transferee rail: the book of customers, or a part of it, moves to another exchange, by a file that a person carries.

Class R2: the other exchange can be asked by our key, and answers by file, customer by customer. Its acknowledgement
settles what it names; what it rejects comes back and is scheduled again. No personal data travels in the book itself:
the file of persons (`identities`) is made apart, for the handover only.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import groupby

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
from administration.rails.papers import KEY, Wrong
from administration.rails.transferee import answers, book, identities

__all__ = ["NETWORK", "Transferee", "answers", "book", "identities"]

NETWORK = "transferee"  # of a destination: an account in the other exchange's book
_CUSTOMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Transferee:
    """The rail to the exchange that takes the book over."""

    quiet_period: timedelta = timedelta(days=10)

    code = "transferee"
    version = "1"
    rail_class = RailClass.R2
    max_items = 50_000
    needs_export = True
    can_submit = False
    can_observe = False

    def check_destination(self, asset: str, destination: Destination) -> Check:
        """The number under which the other exchange knows the customer, and nothing else."""
        said = {name: str(value) for name, value in destination.items() if value}
        customer = said.get("address", "")
        if set(said) != {"network", "address"} or said["network"] != NETWORK or not _CUSTOMER.fullmatch(customer):
            reason = "A book that moves knows a customer by a number of up to 64 letters, digits and . _ -"
            return Check("transferee", errors=(Remark("no_customer", reason),))
        return Check("transferee", {"network": NETWORK, "address": customer, "memo": ""})

    def prepare(
        self, key: str, items: Sequence[Item], *, policy: Policy = NOTHING, snapshot: Snapshot = NOTHING
    ) -> Prepared:
        """One book, customer by customer. Everything wrong is said at once."""
        if not KEY.fullmatch(key):
            raise CannotPrepare(f"{key!r} is no submission key. Use letters, digits and . _ : / - only.")
        wrong: list[str] = []
        if not 1 <= len(items) <= self.max_items:
            wrong.append(f"A book has 1 to {self.max_items} entries, not {len(items)}. Split it.")
        seen: set[str] = set()
        totals: dict[str, int] = {}
        for number, item in enumerate(book.in_order(items), start=1):
            where = f"Entry {number} ({item.reference}):"
            if item.reference in seen:
                wrong.append(f"{where} it is in it twice. A return is made once.")
            if not KEY.fullmatch(item.reference) or not KEY.fullmatch(item.asset):
                wrong.append(f"{where} that is no reference, or no asset.")
            if not 0 < item.amount < 10**78 or not 0 <= item.scale <= 36:
                wrong.append(f"{where} it moves {item.amount} units at scale {item.scale}.")
            wrong += [f"{where} {remark}" for remark in self.check_destination(item.asset, item.destination).errors]
            seen.add(item.reference)
            totals[item.asset] = totals.get(item.asset, 0) + item.amount
        if wrong:
            more = f" And {len(wrong) - 5} more." if len(wrong) > 5 else ""
            raise CannotPrepare(" ".join(wrong[:5]) + more)
        content = book.write(key, items)
        return Prepared(
            key=key,
            artifacts=self.carried(key, content),
            commitment=sha256(content).hexdigest(),
            conflict_keys=(f"{self.code}:{key}",),
            count=len(items),
            totals=dict(sorted(totals.items())),
        )

    def split(self, items: Sequence[Item]) -> tuple[tuple[Item, ...], ...]:
        """As many books as their size asks for; the entries of a customer stay together."""
        books: list[list[Item]] = [[]]
        for _customer, of_one in groupby(book.in_order(items), key=book.customer_of):
            entries = list(of_one)
            if books[-1] and len(books[-1]) + len(entries) > self.max_items:
                books.append([])
            books[-1] += entries
        return tuple(tuple(one) for one in books if one)

    def value_date(self, wanted: date) -> date | None:
        """The other exchange credits when it has looked."""
        return None

    def carried(self, key: str, payload: bytes) -> tuple[Artifact, ...]:
        """The book for the other exchange's programs, and the same for people."""
        name = key.replace("/", "-")
        return (
            Artifact(f"{name}.json", "application/json", payload),
            Artifact(f"{name}.csv", "text/csv; charset=utf-8", book.as_csv(payload)),
        )

    def verify_signed(self, prepared: Prepared, signed: bytes) -> Verified:
        """Nothing is signed here: what is handed over must be what was approved."""
        if signed != prepared.payload:
            raise SignedRefused("changed", "This is not the book that was approved. Hand over that one.")
        return Verified(signed, (prepared.key,))

    def read(self, evidence: bytes) -> tuple[Observation, ...]:
        """An acknowledgement. Which of our books it answers, the engine looks up by the key it names."""
        try:
            return tuple(line for answer in answers.read(evidence) for line in answer.observations())
        except Wrong as wrong:
            raise EvidenceRefused(f"{wrong} Nothing was read.") from None

    def read_answer(self, asked: bytes, evidence: bytes) -> tuple[Observation, ...]:
        """An acknowledgement held against the book it must answer: strangers and customers in part are refused."""
        try:
            found = answers.read(evidence)
            answers.refuse_unless_of(asked, found)
        except Wrong as wrong:
            raise EvidenceRefused(f"{wrong} Nothing was read.") from None
        return tuple(line for answer in found for line in answer.observations())

    def judge(self, item: Item, observations: Iterable[Observation], *, now: datetime) -> Judgement:
        return judge_lines(item, observations)

    def submit(self, content: bytes, key: str) -> Outcome:
        """Nothing is sent from here; that it was asked is doubt enough to have people look."""
        return Unknown("A person carries this rail's files. Nothing was sent.")

    def observe(self, cursor: str) -> tuple[tuple[Observation, ...], str]:
        raise RailDown("The other exchange answers by file. Import its acknowledgement.")
