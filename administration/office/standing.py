"""Where a case stands: its stage, its figures, and whether its record holds. Read from rows, for the dashboard."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as lazy

from administration.audit import verification
from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case, CaseState, RequestState
from administration.custody.models import Reconciliation
from administration.distribution.models import Run, RunState
from administration.ledger.models import Intake, IntakeState
from administration.office import tallies
from administration.record import heads
from administration.record.models import Counter, Head
from administration.work.models import Job, JobState
from claims.register import tie_out
from claims.register.models import Claim

# --- the stage ----------------------------------------------------------------------------------

PAST, NOW, TO_COME = "past", "now", "to come"
STAGES: tuple[tuple[str, Any], ...] = (
    ("takeover", lazy("Take-over")),
    ("reconcile", lazy("Reconcile")),
    ("claims", lazy("Claims")),
    ("plan", lazy("Plan")),
    ("approve", lazy("Approve")),
    ("return", lazy("Return")),
    ("close", lazy("Close")),
)


@dataclass(frozen=True)
class Stage:
    """One step of the way, and whether it is behind us."""

    code: str
    name: Any
    state: str


def stages(case: Case) -> list[Stage]:
    """The way, with everything past up to the first step that is not done."""
    given = Run.objects.filter(case=case)
    done = {
        "takeover": lambda: Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).exists(),
        "reconcile": lambda: Reconciliation.objects.filter(case=case).exists(),
        "claims": lambda: Claim.objects.filter(case=case).exists(),
        "plan": lambda: given.exclude(state__in=[RunState.COMPUTING, RunState.WITHDRAWN]).exists(),
        "approve": lambda: given.filter(state=RunState.DECLARED).exists(),
        "return": lambda: case.state == CaseState.CLOSED,
        "close": lambda: case.state == CaseState.CLOSED,
    }
    found, before = [], True
    for code, name in STAGES:
        past = before and done[code]()
        found.append(Stage(code, name, PAST if past else NOW if before else TO_COME))
        before = past
    return found


# --- owed and held --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One asset: every figure is one of tie_out's, to the unit; `owed` and `held` come from the last reconciliation."""

    asset: Asset
    owed: int | None  # ledger, adjustments and what came in after the cut-off, as last reconciled
    held: int | None  # with proof of control, as last reconciled
    recorded: int
    admitted: int
    disputed: int
    undeclared: int
    entitled: int
    in_flight: int
    settled: int
    deposited: int
    closing: int  # in custody, by the books
    free: int
    costs: int
    difference: int

    @property
    def returned(self) -> int:
        return self.settled + self.deposited

    @property
    def gap(self) -> int | None:
        """Held less owed: below zero, so much is missing."""
        return None if self.held is None or self.owed is None else self.held - self.owed


@dataclass(frozen=True)
class Figures:
    lines: list[Line]
    ok: bool
    counted_at: datetime


def figures(case: Case, *, at: datetime) -> Figures:
    """Both statements by asset, counted anew unless they were a moment ago."""
    return tallies.fresh_or_kept("standing", case, lambda: _figures(case, at))


def _figures(case: Case, at: datetime) -> Figures:
    found = tie_out.tie_out(case)
    books = {row["code"]: row for row in found["assets"]}
    claims = {row["code"]: row for row in found["claims"]}
    compared = {
        row.asset_id: row
        for row in Reconciliation.objects.filter(case=case).order_by("asset_id", "-number").distinct("asset_id")
    }
    lines = []
    for asset in Asset.objects.filter(case=case).order_by("code"):
        book, claim, last = books[asset.code], claims[asset.code], compared.get(asset.pk)
        of_claims = {
            name: int(claim[name])
            for name in ("recorded", "admitted", "disputed", "undeclared", "entitled", "in_flight", "settled", "deposited")
        }
        lines.append(
            Line(
                asset=asset,
                owed=last.owed if last else None,
                held=last.held_proved if last else None,
                closing=int(book["closing"]),
                free=int(book["free"]),
                costs=int(book["costs"]),
                difference=int(book["difference"]) or int(claim["difference"]),
                **of_claims,
            )
        )
    return Figures(lines, bool(found["ok"]), at)


# --- claims by how they stand ----------------------------------------------------------------------

CLAIM_LINES = """
SELECT count(*) FILTER (WHERE disputed > 0),
       count(*) FILTER (WHERE disputed = 0 AND admitted > 0),
       count(*) FILTER (WHERE disputed = 0 AND admitted = 0 AND rejected > 0),
       count(*) FILTER (WHERE disputed = 0 AND admitted = 0 AND rejected = 0 AND out_of_scope > 0),
       count(*) FILTER (WHERE disputed = 0 AND admitted = 0 AND rejected = 0 AND out_of_scope = 0)
FROM register_claimline WHERE case_id = %s
"""
CLAIM_STATES: tuple[tuple[str, Any], ...] = (
    ("admitted", lazy("admitted")),
    ("disputed", lazy("in dispute")),
    ("rejected", lazy("rejected")),
    ("out_of_scope", lazy("out of scope")),
    ("empty", lazy("of nothing")),
)
RETURN_STATES: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("settled", ("settled",), lazy("settled")),
    ("sent", ("sent",), lazy("sent")),
    ("waiting", ("scheduled", "ready"), lazy("waiting")),
    ("held", ("held",), lazy("held back")),
    ("unknown", ("unknown",), lazy("unknown")),
    ("returned", ("returned",), lazy("came back")),
)


def claim_lines(case: Case) -> list[tuple[str, Any, int]]:
    """(code, words, how many lines), each line once."""

    def count() -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM_LINES, [case.pk])
            disputed, admitted, rejected, out, empty = cursor.fetchone()
        return [admitted, disputed, rejected, out, empty]

    counted = tallies.fresh_or_kept("claim lines", case, count)
    return [(code, words, n) for (code, words), n in zip(CLAIM_STATES, counted, strict=True)]


def returns(case: Case) -> list[tuple[str, Any, int]]:
    """(code, words, how many returns), over all rails."""
    rails = tallies.counts(case).rails
    return [(code, words, sum(rail.count(*states) for rail in rails)) for code, states, words in RETURN_STATES]


# --- the record ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Light:
    """
    The newest signed head: does its signature hold, does it stand in the log outside the database? And what the last
    verification of the whole record found.
    """

    head: Head | None
    events: int
    signed: bool = False
    logged: bool = False
    verified: Job | None = None

    @property
    def found(self) -> dict[str, Any]:
        """Of the last verification: ok, events, first_bad."""
        return (self.verified.result if self.verified else None) or {}

    @property
    def since(self) -> int:
        """Events that no head covers yet."""
        return self.events - (self.head.size if self.head else 0)

    @property
    def ok(self) -> bool:
        sealed = self.head is None or (self.signed and self.logged and self.since >= 0)
        return bool(sealed and self.found.get("ok", True))


def light(case: Case) -> Light:
    counter = Counter.objects.filter(case_id=case.pk).first()
    events = counter.last if counter else 0
    head = heads.latest(case)
    done = Job.objects.filter(case=case, kind=verification.JOB, state=JobState.DONE).order_by("-pk").first()
    if head is None:
        return Light(None, events, verified=done)
    try:
        logged = heads.as_json(head) == heads.last_logged(case)
    except (OSError, heads.NoHeadLog):
        logged = False
    return Light(head, events, heads.is_signed(head), logged, done)


# --- what waits ------------------------------------------------------------------------------------


def open_requests(case: Case) -> list[ApprovalRequest]:
    return list(
        case.approvals.filter(state=RequestState.OPEN)
        .select_related("prepared_by", "case")
        .prefetch_related("signatures__signer")
        .order_by("pk")
    )
