"""
The custodian rail: any asset, by a neutral file that a person hands to whoever holds the keys.

Class R2: a custodian can be asked by our reference, and answers with a result file. Its word settles a return; where a
chain can be looked at, it should be. No field of ours carries a key, a passphrase or a credential.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256

from administration.rails import accounts, addresses
from administration.rails.custodian import manifest, results
from administration.rails.custodian.manifest import KEY, Wrong
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
    SignedRefused,
    Snapshot,
    Unknown,
    Verified,
    judge_lines,
)

__all__ = ["Custodian", "manifest", "results"]


@dataclass(frozen=True, slots=True)
class Custodian:
    """The rail of one custodian, asked by file."""

    quiet_period: timedelta = timedelta(days=3)

    code = "custodian"
    version = "1"
    rail_class = RailClass.R2
    max_items = 1_000
    needs_export = True
    can_submit = False
    can_observe = False

    def check_destination(self, asset: str, destination: Destination) -> Check:
        """An address on a network, or a bank account for money."""
        if "bank_code" in destination:
            return accounts.check(*(str(destination.get(name, "")) for name in manifest.BANK))
        return addresses.check(asset, *(str(destination.get(name, "")) for name in manifest.ADDRESS))

    def prepare(
        self, key: str, items: Sequence[Item], *, policy: Policy = NOTHING, snapshot: Snapshot = NOTHING
    ) -> Prepared:
        """One manifest, JSON first and CSV beside it, items by reference. Everything wrong is said at once."""
        if not KEY.fullmatch(key):
            raise CannotPrepare(f"{key!r} is no submission key. Use letters, digits and . _ : / - only.")
        wrong: list[str] = []
        if not 1 <= len(items) <= self.max_items:
            wrong.append(f"A manifest has 1 to {self.max_items} items, not {len(items)}. Split them.")
        seen: set[str] = set()
        totals: dict[str, int] = {}
        for number, item in enumerate(sorted(items, key=lambda item: item.reference), start=1):
            where = f"Item {number} ({item.reference}):"
            if item.reference in seen:
                wrong.append(f"{where} it is in it twice. A return is paid once.")
            if not KEY.fullmatch(item.reference):
                wrong.append(f"{where} that is no reference.")
            if not 0 < item.amount < 10**78 or not 0 <= item.scale <= 36:
                wrong.append(f"{where} it pays {item.amount} units at scale {item.scale}.")
            if set(item.destination) - {*manifest.ADDRESS, *manifest.BANK} or not item.destination:
                wrong.append(f"{where} its destination is neither an address nor a bank account.")
            else:
                found = self.check_destination(item.asset, item.destination)
                wrong += [f"{where} {remark}" for remark in found.errors]
            seen.add(item.reference)
            totals[item.asset] = totals.get(item.asset, 0) + item.amount
        if wrong:
            more = f" And {len(wrong) - 5} more." if len(wrong) > 5 else ""
            raise CannotPrepare(" ".join(wrong[:5]) + more)
        content = manifest.write(key, items)
        return Prepared(
            key=key,
            artifacts=self.carried(key, content),
            commitment=sha256(content).hexdigest(),
            conflict_keys=(f"{self.code}:{key}",),
            count=len(items),
            totals=dict(sorted(totals.items())),
        )

    def split(self, items: Sequence[Item]) -> tuple[tuple[Item, ...], ...]:
        """So many to a manifest, in the order of their references."""
        ordered = sorted(items, key=lambda item: item.reference)
        return tuple(tuple(ordered[at : at + self.max_items]) for at in range(0, len(ordered), self.max_items))

    def value_date(self, wanted: date) -> date | None:
        """A custodian pays when it pays."""
        return None

    def carried(self, key: str, payload: bytes) -> tuple[Artifact, ...]:
        """The manifest for the custodian's programs, and the same for people."""
        name = key.replace("/", "-")
        return (
            Artifact(f"{name}.json", "application/json", payload),
            Artifact(f"{name}.csv", "text/csv; charset=utf-8", manifest.as_csv(payload)),
        )

    def verify_signed(self, prepared: Prepared, signed: bytes) -> Verified:
        """Nothing is signed here: what is handed over must be what was approved."""
        if signed != prepared.payload:
            raise SignedRefused("changed", "This is not the manifest that was approved. Hand over that one.")
        return Verified(signed, (prepared.key,))

    def read(self, evidence: bytes) -> tuple[Observation, ...]:
        """A result file. Which of our parts it answers, the engine looks up by the key it names."""
        try:
            return tuple(result.observation() for result in results.read(evidence))
        except Wrong as wrong:
            raise EvidenceRefused(f"{wrong} Nothing was read.") from None

    def read_answer(self, asked: bytes, evidence: bytes) -> tuple[Observation, ...]:
        """A result file held against the manifest it must answer: foreign references and other amounts are refused."""
        try:
            found = results.read(evidence)
            results.refuse_unless_of(asked, found)
        except Wrong as wrong:
            raise EvidenceRefused(f"{wrong} Nothing was read.") from None
        return tuple(result.observation() for result in found)

    def judge(self, item: Item, observations: Iterable[Observation], *, now: datetime) -> Judgement:
        return judge_lines(item, observations)

    def submit(self, content: bytes, key: str) -> Outcome:
        """Nothing is sent from here; that it was asked is doubt enough to have people look."""
        return Unknown("A person carries this rail's files. Nothing was sent.")

    def observe(self, cursor: str) -> tuple[tuple[Observation, ...], str]:
        raise RailDown("The custodian answers by file. Import its results.")
