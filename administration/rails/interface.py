"""
The one door through which value leaves the house, whatever the rail.

A rail is an object with a few declared facts and a few functions. What is pure (check, prepare, verify, read,
judge) is the same on every machine and every day, so that a second approver can rebuild the same bytes. Only
`submit` and `observe` call out. None knows a database, a case or a key; the return engine owns all of these.

    Item ─ prepare ─▶ Prepared ─(signed elsewhere)─ verify_signed ─▶ Verified ─ submit ─▶ Outcome
                                                                  observe / read ─▶ Observation ─ judge ─▶ Judgement
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from administration.errors import Refused


class RailClass(StrEnum):
    """What a rail can do about a payment whose outcome we do not know. The engine's behaviour follows from it."""

    R1 = "R1"  # honours our key for the life of the payment: resend with the same key
    R2 = "R2"  # can be asked by our reference: wait the quiet period, ask, resend only on "not found"
    R3 = "R3"  # neither (an uploaded file): never resend by machine, a person decides on evidence
    R4 = "R4"  # public chain: re-broadcast the same signed bytes; final only at depth


class ObservationKind(StrEnum):
    """What a line of evidence says became of a payment."""

    SEEN = "seen"  # known to the rail, not final: decides nothing yet
    SETTLED = "settled"
    REFUSED = "refused"  # never paid, and never will be
    RETURNED = "returned"  # was paid, and came back
    DEAD = "dead"  # can never be paid any more: its conflict key was spent, finally, by something else


class Verdict(StrEnum):
    """What the evidence so far amounts to, for one item."""

    PENDING = "pending"
    SETTLED = "settled"
    REFUSED = "refused"
    RETURNED = "returned"
    DEAD = "dead"
    UNKNOWN = "unknown"  # the evidence contradicts itself or the item: a person decides


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing wrong, or worth knowing, about an input. `code` is stable; `text` is for a person."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


# A destination is a small flat mapping of text to text, as its version row keeps it:
#   bank     {"bank_code", "branch_code", "kind", "number", "holder_kana"}
#   address  {"network", "address", "memo"}           ("memo" is "" where there is none: tag 0 is not no tag)
Destination: TypeAlias = Mapping[str, str]

# What an administrator sets for a rail (fee limits, value date, finality depth), frozen with the batch.
Policy: TypeAlias = Mapping[str, str | int]

# What a rail must know of the world to build its bytes (coins to spend, next nonce), frozen with the batch.
Snapshot: TypeAlias = Mapping[str, object]

NOTHING: Mapping[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class Check:
    """
    Whether a destination can be paid at all, judged from its text alone.

    `normalized` is the destination in the one spelling we keep and hash; empty when not ok. Warnings leave it
    payable but want a person's eye.
    """

    kind: str
    normalized: Destination = field(default_factory=dict)
    errors: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors


@dataclass(frozen=True, slots=True)
class Item:
    """One return as the rail sees it: pay `amount` whole units of `asset` to this destination."""

    reference: str  # ours; the external id everywhere
    asset: str
    amount: int
    scale: int
    destination: Destination
    memo: str = ""  # words that travel with a bank payment; a chain's tag belongs to the destination


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file made for a part: what is signed, uploaded or sent."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    One part of a batch, ready to be approved: its exact files and what the approval binds.

    `commitment` is the hash that the approvers sign with the manifest. Two parts that share a conflict key can
    never both be paid, by the nature of the rail (an outpoint, a nonce, a key the rail honours).
    """

    key: str
    artifacts: tuple[Artifact, ...]
    commitment: str
    conflict_keys: tuple[str, ...]
    count: int
    totals: Mapping[str, int]  # asset → whole units
    fee_asset: str = ""
    fee_max: int = 0
    expires_at: datetime | None = None

    @property
    def payload(self) -> bytes:
        """The bytes to send, on a rail that needs no signature of ours."""
        return self.artifacts[0].content


@dataclass(frozen=True, slots=True)
class Verified:
    """Signed bytes that do exactly what was approved, and nothing else."""

    content: bytes
    final_ids: tuple[str, ...] = ()
    fee: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rail has it, now for the first time."""

    rail_reference: str = ""


@dataclass(frozen=True, slots=True)
class AlreadyKnown:
    """The rail had it before, byte for byte. As good as accepted."""

    rail_reference: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rail says no, and has booked nothing. `permanent`: the same bytes will never be taken."""

    code: str
    reason: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    No answer we can rely on: it may have been booked. A timeout is this, never a failure.

    `mismatch`: what the rail holds under our key is not what we sent. Its rail stops at once.
    """

    reason: str
    mismatch: bool = False


Outcome: TypeAlias = Accepted | AlreadyKnown | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Observation:
    """
    One line of evidence from the rail.

    It speaks of one item (`reference`), or of a whole part (`part`, the submission's key: a bank's one debit for
    a file). `line_ref` is unique on its rail, so reading a statement twice changes nothing.
    """

    line_ref: str
    kind: ObservationKind
    asset: str
    amount: int
    at: datetime
    reference: str = ""
    part: str = ""
    reason: str = ""
    raw: str = ""  # the line as the rail wrote it


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the observations of one item amount to, and the lines that say so."""

    verdict: Verdict
    reason: str = ""
    lines: tuple[str, ...] = ()


class SignedRefused(Refused):
    """What came back from the signer is not what was approved."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EvidenceRefused(Refused):
    """A statement or evidence file cannot be read as this rail writes them."""


class CannotPrepare(Refused):
    """These items cannot travel together, or not on this rail."""


class RailDown(Refused):
    """The rail could not be reached to be asked. Nothing was sent; ask again later."""


@runtime_checkable
class Rail(Protocol):
    """What every rail declares and does. Amounts are whole units, times are aware, texts are the rail's own."""

    @property
    def code(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def rail_class(self) -> RailClass: ...
    @property
    def quiet_period(self) -> timedelta:
        """Longer than anything we sent can be on its way without being visible to a question."""
        ...

    @property
    def max_items(self) -> int:
        """How many items one part can carry."""
        ...

    @property
    def needs_export(self) -> bool:
        """A person carries files out, to a signer or a bank."""
        ...

    @property
    def can_submit(self) -> bool: ...
    @property
    def can_observe(self) -> bool: ...

    def check_destination(self, asset: str, destination: Destination) -> Check:
        """Pure. Whether this rail can pay that asset there."""
        ...

    def prepare(
        self, key: str, items: Sequence[Item], *, policy: Policy = NOTHING, snapshot: Snapshot = NOTHING
    ) -> Prepared:
        """Pure and deterministic: the same arguments, in any order of items, give the same bytes."""
        ...

    def verify_signed(self, prepared: Prepared, signed: bytes) -> Verified:
        """Pure. Raises SignedRefused unless the signed bytes do what was approved and nothing else."""
        ...

    def read(self, evidence: bytes) -> tuple[Observation, ...]:
        """Pure. The lines of a statement or evidence file. Raises EvidenceRefused."""
        ...

    def judge(self, item: Item, observations: Iterable[Observation], *, now: datetime) -> Judgement:
        """Pure. What these lines amount to for this item."""
        ...

    def submit(self, content: bytes, key: str) -> Outcome:
        """Calls out once, without retries. Raises nothing: doubt is Unknown."""
        ...

    def observe(self, cursor: str) -> tuple[tuple[Observation, ...], str]:
        """Calls out for the next page after `cursor` ("" is the beginning). No lines: nothing new yet."""
        ...


@runtime_checkable
class ReplacingRail(Rail, Protocol):
    """A rail on which a part already sent can be replaced or made impossible, sharing its conflict key."""

    def replace(self, key: str, previous: Prepared, *, policy: Policy, snapshot: Snapshot = NOTHING) -> Prepared: ...

    def void(self, key: str, previous: Prepared, *, policy: Policy, snapshot: Snapshot = NOTHING) -> Prepared: ...


@runtime_checkable
class CarriedRail(Rail, Protocol):
    """A rail whose files a person carries out of the house: to a bank, to a custodian."""

    def split(self, items: Sequence[Item]) -> tuple[tuple[Item, ...], ...]:
        """Pure. The items in as many parts as the rail's limits ask for, in the order of their references."""
        ...

    def value_date(self, wanted: date) -> date | None:
        """Pure. The first day from then on that can be a file's value date; None where files have none."""
        ...

    def carried(self, key: str, payload: bytes) -> tuple[Artifact, ...]:
        """Pure. The files to carry, made of a part's exact bytes."""
        ...


@runtime_checkable
class AnsweringRail(Rail, Protocol):
    """A rail whose evidence answers one part, and can be held against it."""

    def read_answer(self, asked: bytes, evidence: bytes) -> tuple[Observation, ...]:
        """Pure. As `read`, and refused where it speaks of what that part did not ask. Raises EvidenceRefused."""
        ...


def judge_lines(item: Item, observations: Iterable[Observation]) -> Judgement:
    """
    The judgement most rails share: the last decisive line wins, and a line that does not fit is for a person.

    Order is the rail's own. A line of another amount or asset, two settlements, or a return without a
    settlement are contradictions: never decided by machine.
    """
    state, lines, reason = Verdict.PENDING, [], ""
    for seen in observations:
        lines.append(seen.line_ref)
        if (seen.asset, seen.amount) != (item.asset, item.amount):
            return Judgement(Verdict.UNKNOWN, "a line of another asset or amount", tuple(lines))
        if seen.kind is ObservationKind.SEEN:
            continue
        if (state, seen.kind) not in _FOLLOWS:
            return Judgement(Verdict.UNKNOWN, f"{seen.kind} after {state}", tuple(lines))
        state, reason = Verdict(seen.kind.value), seen.reason
    return Judgement(state, reason, tuple(lines))


_FOLLOWS = {
    (Verdict.PENDING, ObservationKind.SETTLED),
    (Verdict.PENDING, ObservationKind.REFUSED),
    (Verdict.PENDING, ObservationKind.DEAD),
    (Verdict.SETTLED, ObservationKind.RETURNED),
}
