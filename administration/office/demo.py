"""
The sample case: the whole way once, by the same acts that a real administrator's office uses.

`up` loads it, `up --check` carries a fresh one through all nine steps, tests walk it. Aoki holds the
office, Baba approves, Goto is the case officer and prepares, Chiba audits.
"""

import hashlib
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.conf import settings

from administration.audit import pulls
from administration.cases import approvals, cases, securing
from administration.cases.models import ApprovalRequest, Case, RequestState
from administration.custody import holdings, reconciliation
from administration.distribution import plans, runs
from administration.distribution.models import Run
from administration.errors import Refused
from administration.fields import db_now
from administration.ledger import takeover
from administration.office import sample as handover
from administration.people.models import User
from administration.record import heads, verify
from administration.returns import batches, evidence, rounds, settlement, submissions
from administration.returns.models import AssetReturn, Batch, ReturnState, Round
from administration.work import jobs
from administration.work.models import Job
from claims.destinations import cooling
from claims.destinations import handover as destinations
from claims.notices import notices
from claims.portal import letters
from claims.register import review, schedule, tie_out
from claims.register.models import Claim, ClaimLine, Dispute

REFERENCE = "SAMPLE-1"
COURT = "東京地方裁判所"
RAIL = "rehearsal"
CAST = {
    "aoki": ("Aoki", "office_holder"),
    "baba": ("Baba", "approver"),
    "goto": ("Goto", "case_officer"),
    "chiba": ("Chiba", "auditor"),
}
PLAN = Path(__file__).parent.parent / "distribution" / "example_plan.toml"
CONFIRMED, DISPUTED = 20, 6  # claims that answer on paper; all others stand by silence
EMPTY_STATEMENTS = 3  # looks at the rail that bring nothing new before a round counts as come to rest

Say = Callable[[str], None]


def quiet(sentence: str) -> None:
    """Say nothing."""


@dataclass
class Way:
    """The sample case's way through the nine steps of the design, one method each; each returns how many rows it made."""

    accounts: int
    seed: int
    reference: str = REFERENCE
    say: Say = quiet
    package: Path | None = None  # an existing handover package; otherwise one is made
    case: Case = field(init=False)

    # --- 1 open the case, secure it ---------------------------------------------------------------

    def secure(self) -> int:
        at = db_now()
        people = {name: sign_in(name, shown) for name, (shown, _kind) in CAST.items()}
        instrument = b"Appointing order of the sample case. Not an order of any court."
        self.case = cases.open_case(
            reference=self.reference,
            name="あさぎり取引所株式会社",
            regime="JP-PSA-2020",
            proceeding="civil_rehabilitation",
            trigger="INSOLVENCY_PETITION",
            cutoff_at=datetime.fromisoformat("2026-09-30T15:00:00+09:00"),
            court=f"{COURT}民事第20部",
            court_number="令和8年（再）第9999号",
            cooling_off_hours=0,
            is_sample=True,
            appointed=[
                cases.Appointed(
                    user=people[name], kind=kind, authority=COURT, instrument="選任決定",
                    instrument_sha256=hashlib.sha256(instrument).digest(),
                )
                for name, (_shown, kind) in CAST.items()
            ],
            ordered=[
                cases.Ordered(
                    number="R8-9999-1", issuer=COURT, issued_date=date(2026, 10, 2),
                    scan=b"Permission to rely on destinations handed over. Not an order of any court.",
                    scan_name="order-1.txt", permits=["destinations.verify_handover"], served_date=date(2026, 10, 3),
                )
            ],
            due=[cases.Due(kind="filing", counted_from=date(2026, 10, 3), counted_from_what="service", period="P2M",
                           provenance="決定 R8-9999-1", order="R8-9999-1")],
            at=at,
        )  # fmt: skip
        for item in securing.missing(self.case):
            securing.do(
                self.case, item, owner=user("goto"), evidence=f"Minutes: {item} secured.".encode(),
                evidence_name=f"{item}.txt", by=user("goto"), at=db_now(),
            )  # fmt: skip
        securing.complete(self.case, by=user("goto"), at=db_now())
        return len(CAST)

    # --- 2 take over the ledger ---------------------------------------------------------------------

    def take_over(self) -> int:
        assert self.package is not None
        intake = takeover.receive(self.case, self.package, by=user("goto"), at=db_now())
        done(takeover.inspect(intake, by=user("goto"), at=db_now()))
        intake.refresh_from_db()
        request = takeover.accept(intake, negative_policy="exclude", by=user("goto"), at=db_now())
        sign(request, "baba")
        intake.refresh_from_db()
        return intake.accounts + intake.balances

    # --- 3 prove what is held ---------------------------------------------------------------------------

    def prove(self) -> int:
        held = holdings.from_handover(self.case, by=user("goto"), at=db_now())
        rows = reconciliation.run(self.case, by=user("goto"), at=db_now())
        return len(held) + len(rows)

    # --- 4 settle claims ----------------------------------------------------------------------------------

    def settle_claims(self) -> int:
        goto = user("goto")
        done(schedule.schedule(self.case, by=goto, at=db_now()))
        notices.issue(
            self.case, kind="schedule", title="Your claim was made from the exchange's ledger",
            text="If you do nothing, the recorded balance stands as your claim.", channel="gazette",
            proof="sample", by=goto, at=db_now(),
        )  # fmt: skip
        claims = Claim.objects.filter(case=self.case).order_by("number")
        for claim in claims[:CONFIRMED]:
            schedule.confirm(claim, by=goto, at=db_now())
        lines = ClaimLine.objects.filter(case=self.case, admitted__gt=0).order_by("claim__number", "asset__code")
        for line in lines[CONFIRMED : CONFIRMED + DISPUTED]:
            schedule.dispute(
                line, line.recorded + line.recorded // 10 + 1, ground="基準日の入金が反映されていません。",
                evidence=hashlib.sha256(b"letter").digest(), by=goto, at=db_now(),
            )  # fmt: skip
        disputes = Dispute.objects.filter(claim_line__case=self.case).select_related("claim_line").order_by("pk")
        for n, dispute in enumerate(disputes[: DISPUTED - 2]):  # two stay open: their share is reserved
            line = dispute.claim_line
            review.decide(
                dispute, admitted=dispute.claimed if n % 2 else line.recorded,
                reason_code="deposit_found" if n % 2 else "not_in_any_record", reason="銀行の明細と照合しました。",
                evidence=hashlib.sha256(b"statement").digest(), by=goto, at=db_now(),
            )  # fmt: skip
        order = self.case.orders.get(number="R8-9999-1")
        destinations.verify_by_order(self.case, order, by=goto, at=db_now())
        cooling.release(self.case, by=goto, at=db_now())
        return ClaimLine.objects.filter(case=self.case).count()

    # --- 5 plan and compute ----------------------------------------------------------------------------------

    def plan(self) -> int:
        text = PLAN.read_text().replace("First interim return in kind", "第1回中間返還（現物）").replace('"customers"', '"利用者"')
        plan = plans.draft(self.case, text, by=user("goto"), at=db_now())
        done(runs.compute(plan, by=user("goto"), at=db_now()))
        run = self.run
        sign(runs.request_approval(run, by=user("goto"), at=db_now()), "aoki", "baba")
        return run.entitlement_count

    @property
    def run(self) -> Run:
        return Run.objects.filter(case=self.case).latest("number")

    # --- 6 schedule returns -------------------------------------------------------------------------------------

    def schedule(self) -> int:
        done(rounds.schedule(self.case, self.run, by=user("goto"), at=db_now()))
        self.freeze()
        return AssetReturn.objects.filter(case=self.case).count()

    def freeze(self) -> None:
        """Batch what is ready, and have each batch signed."""
        newest = Round.objects.filter(case=self.case).latest("number")
        while True:
            try:
                batch = batches.draft(self.case, newest, RAIL, by=user("goto"), at=db_now())
            except batches.NothingToBatch:
                return
            sign(batches.freeze(batch, by=user("goto"), at=db_now()), "aoki", "baba")

    # --- 7 carry them out ---------------------------------------------------------------------------------------

    def carry_out(self) -> int:
        for batch in Batch.objects.filter(case=self.case, state="approved").order_by("pk"):
            done(submissions.export(batch, by=user("goto"), at=db_now()))
            batch.refresh_from_db()
            done(submissions.submit(batch, by=user("goto"), at=db_now()))
        return AssetReturn.objects.filter(case=self.case, state=ReturnState.BATCHED).count()

    # --- 8 confirm -----------------------------------------------------------------------------------------------

    def confirm(self) -> int:
        """Evidence until the rail is at rest; what it refused goes out once more in a newly approved batch."""
        self.settle()
        if AssetReturn.objects.filter(case=self.case, state=ReturnState.SCHEDULED, tries__gt=0).exists():
            self.freeze()
            self.carry_out()
            self.settle()
        return AssetReturn.objects.filter(case=self.case, state=ReturnState.SETTLED).count()

    def settle(self) -> None:
        empty = 0
        while empty < EMPTY_STATEMENTS:
            read = done(evidence.observe(self.case, RAIL, by=user("goto"), at=db_now()))
            done(settlement.settle(self.case, by=user("goto"), at=db_now()))
            empty = 0 if (read.result or {}).get("count") else empty + 1

    # --- 9 account for it -----------------------------------------------------------------------------------------

    def account(self) -> int:
        pull = pulls.make(self.case, format="jsonl", out=None, by=user("chiba"), at=db_now())
        pulls.make(self.case, format="csv", out=None, by=user("chiba"), at=db_now())
        return int(pull.head_size)


STEPS: tuple[tuple[str, Callable[[Way], int]], ...] = (
    ("secure", Way.secure),
    ("take over", Way.take_over),
    ("prove", Way.prove),
    ("claims", Way.settle_claims),
    ("plan", Way.plan),
    ("schedule", Way.schedule),
    ("carry out", Way.carry_out),
    ("confirm", Way.confirm),
    ("account", Way.account),
)


def check(*, accounts: int, seed: int, progress: Say = quiet) -> dict[str, Any]:
    """Carry a fresh sample case through all nine steps and verify it. The object of `up --check`."""
    with tempfile.TemporaryDirectory(prefix="henkan-sample-") as directory:
        began = time.monotonic()
        package = Path(directory) / "package"
        handover.write(package, accounts=accounts, seed=seed)
        progress(f"A handover package of {accounts:,} accounts, made in {time.monotonic() - began:.1f} s.")
        way = Way(accounts, seed, say=progress, package=package)
        steps = []
        for number, (name, step) in enumerate(STEPS, start=1):
            began = time.monotonic()
            rows = step(way)
            seconds = time.monotonic() - began
            steps.append({"name": name, "seconds": round(seconds, 2), "rows": rows})
            progress(f"{number}/9 {name}: {rows:,} rows in {seconds:.1f} s")
    return account_of(way.case, steps)


def account_of(case: Case, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Both statements, the approvals and the head of a case."""
    statements = tie_out.tie_out(case)
    heads.seal(case, at=db_now())
    verified = verify.verify(case)
    newest = case_head(case)
    granted = ApprovalRequest.objects.filter(case=case, state=RequestState.GRANTED).order_by("pk")
    return {
        "ok": bool(statements["ok"] and verified["ok"]),
        "case": case.reference,
        "steps": steps,
        "assets": statements["assets"],
        "claims": statements["claims"],
        "approvals": [
            {
                "act": request.act,
                "object": request.object_id,
                "content_sha256": bytes(request.content_sha256).hex(),
                "prepared_by": request.prepared_by.username,
                "signers": [signature.signer.username for signature in request.signatures.order_by("pk")],
            }
            for request in granted
        ],
        "head": newest,
        "first_bad": verified["first_bad"],
    }


def case_head(case: Case) -> dict[str, Any]:
    newest = heads.latest(case)
    return {"size": newest.size, "root": bytes(newest.root).hex()} if newest else {"size": 0, "root": ""}


# --- who signs in ---------------------------------------------------------------------------------


def sign_in(name: str, shown: str) -> User:
    """A demo sign-in, with no password until `sign_ins` gives it one."""
    found, made = User.objects.get_or_create(username=name, defaults={"first_name": shown, "is_staff": True})
    if made:
        found.set_unusable_password()
        found.save(update_fields=["password"])
    return found


def sign_ins() -> list[str]:
    """Give each demo sign-in a fresh password and an authenticator, and say both. Only on the embedded stack, which is nobody's estate."""
    if not settings.EMBEDDED:
        raise Refused("Demo sign-ins exist on the embedded stack only.")
    said = []
    for name, (_shown, kind) in CAST.items():
        found = User.objects.filter(username=name).first()
        if found:
            password = secrets.token_urlsafe(9)
            found.set_password(password)
            found.save(update_fields=["password"])
            said.append(f"{name:<6} {kind:<14} password {password}   authenticator key {key_of(found)}")
    return said


def key_of(user: User) -> str:
    """The key of a demo sign-in's authenticator, made once: a phone may have scanned it."""
    own = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    if own is None:
        own = totp.TOTP.activate(user, totp.generate_totp_secret()).instance
    return str(decrypt(own.data["secret"]))


def code_of(user: User) -> str:
    """What the demo sign-in's authenticator shows now."""
    if not settings.EMBEDDED:
        raise Refused("Codes are shown on the embedded stack only. Elsewhere the authenticator app shows them.")
    return str(totp.format_hotp_value(totp.hotp_value(key_of(user), int(time.time()) // 30)))


def letter() -> list[str]:
    """What a customer of the sample case holds in their hands to come in at the portal."""
    try:
        return letters.sample_letter(Case.objects.get(reference=REFERENCE), by=user("goto"), at=db_now())
    except letters.NoLetter as none:  # a very small sample; everything else can be tried
        return [str(none)]


def sample(accounts: int, *, seed: int = 1, progress: Say = quiet) -> None:
    """Load the sample case up to its scheduled claims, once."""
    if Case.objects.filter(reference=REFERENCE).exists():
        return
    with tempfile.TemporaryDirectory(prefix="henkan-sample-") as directory:
        package = Path(directory) / "package"
        handover.write(package, accounts=accounts, seed=seed)
        way = Way(accounts, seed, say=progress, package=package)
        for _name, step in STEPS[:4]:
            step(way)


# --- doing it ---------------------------------------------------------------------------------------


def user(name: str) -> User:
    return User.objects.get(username=name)


def done(job: Job) -> Job:
    return jobs.wait(job)


def sign(request: ApprovalRequest, *names: str) -> None:
    """Have a request signed, and wait for what follows the last signature."""
    for name in names:
        signed = approvals.sign(request, by=user(name), at=db_now())
        follows = getattr(signed, "followed_by", None)
        if isinstance(follows, Job):
            done(follows)
