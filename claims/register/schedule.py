"""
Claims made from the ledger: one for each account, set-based, in chunks by account.

    NotAccepted       the ledger is not accepted yet
    NegativeBalances  balances are negative that nobody has excluded or corrected
    AlreadyConfirmed  a claim is confirmed once
    NotADispute       the figure claimed is what is admitted already, or the line is in dispute
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, profiles
from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger.models import Intake, IntakeState, LedgerAccount, ScopeDecision, ScopeRank
from administration.people.models import User
from administration.record import covers, log
from administration.work import jobs
from administration.work.models import Job, JobState
from claims.register.holds import CONFIDENTIAL
from claims.register.models import Claim, ClaimClass, ClaimKind, ClaimLine, Decision, Dispute

KIND = "claims.schedule"
CHUNK = 5000
STANDS = "scheduled_stands_until_disputed"
MUST_BE_FILED = "scheduled_and_reserved_until_filed_and_decided"  # classes in which silence admits nothing

LOOK_AGAIN = timedelta(days=30)


class NotAccepted(Refused):
    """Claims are made from an accepted ledger only."""


class NegativeBalances(Refused):
    """A claim cannot be negative: the balance must be excluded or corrected by an adjustment first."""


class AlreadyConfirmed(Refused):
    """A claim is confirmed once."""


class NotADispute(Refused):
    """The line has nothing to dispute, or is in dispute already."""


# --- scheduling ---------------------------------------------------------------------------------

# What rooms above do with the claims of each chunk, in its transaction: (case, first account, last account, at).
Follower = Callable[[Case, int, int, datetime], None]
_followers: list[Follower] = []


def follow(follower: Follower) -> None:
    """Let a room do its part for the claims of each chunk. Called in AppConfig.ready()."""
    if follower not in _followers:
        _followers.append(follower)


NEGATIVE = """
SELECT a.account_ref, s.code, s.product, count(*) OVER ()
FROM (
    SELECT ledger_account_id, asset_id, product, sum(amount) AS amount
    FROM (
        SELECT ledger_account_id, asset_id, product, amount FROM ledger_ledgerbalance WHERE case_id = %(case)s
        UNION ALL
        SELECT ledger_account_id, asset_id, product, amount FROM ledger_adjustment WHERE case_id = %(case)s
    ) b
    GROUP BY 1, 2, 3 HAVING sum(amount) < 0
) n
JOIN ledger_ledgeraccount a ON a.id = n.ledger_account_id
JOIN LATERAL (SELECT code, n.product FROM books_asset WHERE id = n.asset_id) s ON true
ORDER BY a.row, s.code, s.product LIMIT 1
"""


@transaction.atomic
def schedule(case: Case, *, by: User, at: datetime) -> Job:
    """
    Make one claim for each account of the accepted ledger; silence lets it stand until it is disputed.

    Returns the job. Asking again while it runs, or when every account has its claim, finds the same job.
    """
    appointments.require(case, by, "claims.schedule", at=at)
    running = Job.objects.filter(kind=KIND, subject_id=case.pk).exclude(state=JobState.FAILED).order_by("-pk").first()
    if running is not None and (running.state == JobState.WAITING or not _left(case)):
        return running
    if not Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).exists():
        raise NotAccepted(
            _("The ledger of case %(case)s is not accepted yet. Let a second person accept it first.") % {"case": case}
        )
    with connection.cursor() as cursor:
        cursor.execute(NEGATIVE, {"case": case.pk})
        negative = cursor.fetchone()
        if negative:
            raise NegativeBalances(
                _(
                    "%(count)s balances are negative, the first in account %(account)s (%(asset)s, %(product)s). "
                    "Exclude or correct them by adjustments, then schedule again."
                )
                % dict(zip(("account", "asset", "product", "count"), negative, strict=True))
            )
        cursor.execute("SELECT DISTINCT asset_id, product FROM ledger_ledgerbalance WHERE case_id = %s"
                       " UNION SELECT asset_id, product FROM ledger_adjustment WHERE case_id = %s ORDER BY 1, 2",
                       [case.pk, case.pk])  # fmt: skip
        products = cursor.fetchall()
    kinds = dict(Asset.objects.filter(case=case).values_list("pk", "kind"))
    classes = [
        (asset, product, profiles.claim_class(case, kind=kinds[asset], product=product)) for asset, product in products
    ]
    ranked = ScopeDecision.objects.filter(case=case).exclude(rank=ScopeRank.CUSTOMER).exists()
    apart = [(0, "", ClaimClass.OWN_INSIDER)] if ranked else []  # insiders and house accounts, whatever the product
    decisions = {
        stands: Decision.objects.create(case=case, rule=rule, reason_code="scheduled", by=by, at=at).pk
        for rule, stands in ((STANDS, True), (MUST_BE_FILED, False))
        if any(profiles.class_rule(case, name).silence_stands == stands for _asset, _product, name in (*classes, *apart))
    }
    return jobs.start(
        case,
        KIND,
        case.pk,
        total=LedgerAccount.objects.filter(case=case).count(),
        params={
            "by": by.pk,
            "at": at.isoformat(),
            "classes": [
                [
                    asset,
                    product,
                    name,
                    profiles.class_rule(case, name).silence_stands,
                    decisions[profiles.class_rule(case, name).silence_stands],
                ]
                for asset, product, name in classes
            ],
            "apart": [
                [profiles.class_rule(case, name).silence_stands, decisions[profiles.class_rule(case, name).silence_stands]]
                for _asset, _product, name in apart
            ],
        },
    )


def _left(case: Case) -> bool:
    """Is there an account without its claim?"""
    scheduled = Claim.objects.filter(case=case, kind=ClaimKind.SCHEDULED).values("ledger_account")
    return LedgerAccount.objects.filter(case=case).exclude(pk__in=scheduled).exists()


NEXT = """
SELECT max(id), count(*) FROM (
    SELECT id FROM ledger_ledgeraccount WHERE case_id = %s AND id > %s ORDER BY id LIMIT %s
) chunk
"""

CLAIMANTS = """
INSERT INTO register_claimant (case_id, identity_id)
SELECT %(case)s, a.identity_id FROM ledger_ledgeraccount a
WHERE a.case_id = %(case)s AND a.id > %(after)s AND a.id <= %(last)s
  AND NOT EXISTS (SELECT FROM register_claimant c WHERE c.identity_id = a.identity_id)
GROUP BY a.identity_id ORDER BY min(a.row)
"""

CLAIMS = """
INSERT INTO register_claim (
    case_id, number, kind, claimant_id, ledger_account_id, fraction_num, fraction_den, confirmed_how
)
SELECT %(case)s, claim_number(%(reference)s, a.row - 1), 'scheduled', c.id, a.id, 1, 1, ''
FROM ledger_ledgeraccount a JOIN register_claimant c ON c.identity_id = a.identity_id
WHERE a.case_id = %(case)s AND a.id > %(after)s AND a.id <= %(last)s
  AND NOT EXISTS (SELECT FROM register_claim e WHERE e.ledger_account_id = a.id AND e.kind = 'scheduled')
ORDER BY a.row
"""

# Each product is in scope or not, and ranks, by the newest decision that speaks of it; a line adds its products up.
LINES = """
INSERT INTO register_claimline (
    case_id, claim_id, asset_id, claim_class, recorded, out_of_scope, admitted, lodged, disputed, rejected,
    converted_in, converted_out, excess, decision_id
)
SELECT %(case)s, c.id, l.asset_id, l.class, l.recorded, l.outside,
       CASE WHEN l.stands THEN l.recorded - l.outside ELSE 0 END, 0,
       CASE WHEN l.stands THEN 0 ELSE l.recorded - l.outside END, 0, 0, 0, 0, l.decision_id
FROM (
    SELECT p.ledger_account_id, p.asset_id, sum(p.amount) AS recorded,
           CASE WHEN scope.rank <> 'customer' THEN 'own_insider' ELSE k.class END AS class,
           CASE WHEN scope.rank <> 'customer' THEN %(apart_stands)s::boolean ELSE k.stands END AS stands,
           CASE WHEN scope.rank <> 'customer' THEN %(apart_decision)s::bigint ELSE k.decision_id END AS decision_id,
           coalesce(sum(p.amount) FILTER (WHERE NOT coalesce(scope.in_scope, true)), 0) AS outside
    FROM (
        SELECT ledger_account_id, asset_id, product, sum(amount) AS amount FROM (
            SELECT ledger_account_id, asset_id, product, amount FROM ledger_ledgerbalance
            WHERE ledger_account_id > %(after)s AND ledger_account_id <= %(last)s AND case_id = %(case)s
            UNION ALL
            SELECT ledger_account_id, asset_id, product, amount FROM ledger_adjustment
            WHERE ledger_account_id > %(after)s AND ledger_account_id <= %(last)s AND case_id = %(case)s
        ) b GROUP BY 1, 2, 3
    ) p
    JOIN unnest(%(assets)s::bigint[], %(products)s::text[], %(classes)s::text[], %(stands)s::boolean[], %(decisions)s::bigint[])
        AS k (asset_id, product, class, stands, decision_id) ON k.asset_id = p.asset_id AND k.product = p.product
    LEFT JOIN LATERAL (
        SELECT d.in_scope, d.rank FROM ledger_scopedecision d
        WHERE d.ledger_account_id = p.ledger_account_id AND d.product IN ('', p.product)
        ORDER BY d.at DESC, d.id DESC LIMIT 1
    ) scope ON true
    GROUP BY 1, 2, 4, 5, 6 HAVING sum(p.amount) <> 0
) l
JOIN register_claim c ON c.ledger_account_id = l.ledger_account_id AND c.kind = 'scheduled'
JOIN books_asset s ON s.id = l.asset_id
WHERE %(fresh)s OR NOT EXISTS (
    SELECT FROM register_claimline e WHERE e.claim_id = c.id AND e.asset_id = l.asset_id AND e.claim_class = l.class
)
ORDER BY c.id, s.code, l.class
"""

HOLDS = """
INSERT INTO register_hold (claim_id, kind, confidential, reason, next_look, placed_at, lift_reason)
SELECT c.id, h.kind, h.kind = ANY (%(confidential)s), concat_ws(' ', 'handed over', h.since, nullif(h.reference, '')),
       %(look)s, %(at)s, ''
FROM ledger_handedoverhold h
JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
WHERE h.ledger_account_id > %(after)s AND h.ledger_account_id <= %(last)s AND h.case_id = %(case)s
  AND NOT EXISTS (
    SELECT FROM register_hold e WHERE e.claim_id = c.id AND e.kind = h.kind AND e.placed_by_id IS NULL
        AND e.reason = concat_ws(' ', 'handed over', h.since, nullif(h.reference, ''))
  )
ORDER BY h.row
"""

# The verifier runs it again: claims of that stretch of numbers, with what never changes of their lines. What came in after
# the cut-off gets lines later, each under an event of its own.
SCHEDULED = """
SELECT c.number AS claim, s.code AS asset, l.claim_class, l.recorded::text AS amount
FROM register_claim c
JOIN register_claimline l ON l.claim_id = c.id
JOIN books_asset s ON s.id = l.asset_id
WHERE c.case_id = %(case)s::bigint AND c.kind = 'scheduled' AND l.recorded <> 0 AND l.claim_class <> 'after_cutoff'
  AND c.number COLLATE "C" BETWEEN %(first)s AND %(last)s
ORDER BY c.number COLLATE "C", s.code COLLATE "C", l.claim_class COLLATE "C"
"""
COVER = "claims.scheduled"


def step(job: Job) -> jobs.Progress:
    """The claims of the next accounts, and at the end one event that covers them all."""
    assert job.case is not None
    case, after = job.case, int(job.cursor or 0)
    with connection.cursor() as cursor:
        cursor.execute(NEXT, [case.pk, after, CHUNK])
        last, accounts = cursor.fetchone()
        if not accounts:
            return _finish(job, case)
        at = datetime.fromisoformat(job.params["at"])
        names = ("assets", "products", "classes", "stands", "decisions")
        given = {
            "case": case.pk, "reference": case.reference, "after": after, "last": last, "at": at,
            "confidential": list(CONFIDENTIAL), "look": (at + LOOK_AGAIN).date(),
            **{name: [row[n] for row in job.params["classes"]] for n, name in enumerate(names)},
            **dict(zip(("apart_stands", "apart_decision"), (*job.params.get("apart", []), [None, None])[0], strict=True)),
        }  # fmt: skip
        cursor.execute(CLAIMANTS, given)
        cursor.execute(CLAIMS, given)
        given["fresh"] = cursor.rowcount == accounts  # then none of them can have a line yet
        cursor.execute(LINES, given)
        cursor.execute(HOLDS, given)
        if not after:
            cursor.execute("SELECT register_analyze()")
    for follower in _followers:
        follower(case, after, last, at)
    return jobs.Progress(cursor=str(last), done=job.done + accounts, phase="claims")


def _finish(job: Job, case: Case) -> jobs.Progress:
    with connection.cursor() as cursor:
        cursor.execute("SELECT register_analyze()")
        cursor.execute(
            'SELECT min(number COLLATE "C"), max(number COLLATE "C"), count(*) FROM register_claim'
            " WHERE case_id = %s AND kind = 'scheduled'",
            [case.pk],
        )
        first, last, claims = cursor.fetchone()
    covered = covers.cover(COVER, case=case.pk, first=first or "", last=last or "")
    log.append(
        case,
        "claims.scheduled",
        subject=case,
        by=User.objects.get(pk=job.params["by"]),
        at=datetime.fromisoformat(job.params["at"]),
        body={"claims": claims, "first": first or "", "last": last or ""},
        covers=covered,
    )
    sums = {code: str(units) for code, units in covered.sums.items()}
    return jobs.Progress(
        cursor=job.cursor, done=job.done, phase="claims", finished=True,
        result={"claims": claims, "lines": covered.count, "totals": sums},
    )  # fmt: skip


# --- what the customer says ---------------------------------------------------------------------


@transaction.atomic
def confirm(claim: Claim, *, how: str = "paper", by: User, at: datetime) -> None:
    """The customer confirms the claim as it stands."""
    appointments.require(claim.case, by, "claims.schedule", at=at)
    moved = Claim.objects.filter(pk=claim.pk, confirmed_at__isnull=True).update(confirmed_at=at, confirmed_how=how)
    if moved != 1:
        raise AlreadyConfirmed(_("Claim %(claim)s was confirmed before. Nothing was changed.") % {"claim": claim})
    log.append(claim.case, "claim.confirmed", subject=claim, by=by, at=at, body={"claim": claim.number, "how": how})
    claim.refresh_from_db()


@transaction.atomic
def confirm_all(claims: Iterable[Claim], *, how: str = "paper", by: User, at: datetime) -> int:
    """Customers confirm these claims as they stand: all of them, or none. Returns how many."""
    chosen = list(claims)
    # All rows before the first event: a customer who confirms at this moment holds a row and waits for the record.
    rows = Claim.objects.filter(pk__in=[claim.pk for claim in chosen]).order_by("pk")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("pk"))
    for claim in chosen:  # as many as somebody selected on a page; each is a customer's own word, with its own event
        confirm(claim, how=how, by=by, at=at)
    return len(chosen)


@transaction.atomic
def dispute(
    line: ClaimLine,
    claimed: int,
    *,
    ground: str,
    evidence: bytes | None = None,
    how: str = "paper",
    by: User,
    at: datetime,
) -> Dispute:
    """
    Take down a customer's own figure for one line. It stays open until `review.decide`.

    What is claimed above the line is lodged and disputed: it is reserved, and not admitted. A figure below it
    changes nothing until it is decided. `evidence` is the SHA-256 of the paper.
    """
    claim = line.claim
    appointments.require(claim.case, by, "claims.schedule", at=at)
    if claimed < 0 or not ground.strip():
        raise NotADispute(_("A dispute needs a figure that is not negative, and a ground. Ask the customer for both."))
    if line.claim_class == ClaimClass.AFTER_CUTOFF:
        raise NotADispute(
            _("What came in after the cut-off is returned as the exchange booked it. Where it booked wrongly, correct its ledger.")
        )
    line = ClaimLine.objects.select_for_update(of=("self",), no_key=True).get(pk=line.pk)
    stands = line.recorded + line.corrected + line.lodged
    if claimed == stands and not line.rejected and not line.out_of_scope:
        raise NotADispute(_("Claim %(claim)s stands at just this figure. Confirm it instead.") % {"claim": claim})
    if Dispute.objects.filter(claim_line=line, decision__isnull=True).exists():
        raise NotADispute(_("This line of claim %(claim)s is in dispute. Decide that first.") % {"claim": claim})
    found = Dispute.objects.create(
        claim_line=line, claimed=claimed, ground=ground, how=how, evidence_sha256=evidence, received_by=by, at=at
    )
    above = max(0, claimed - stands)
    if above:
        ClaimLine.objects.filter(pk=line.pk).update(lodged=line.lodged + above, disputed=line.disputed + above)
    log.append(
        claim.case,
        "claim.disputed",
        subject=found,
        by=by,
        at=at,
        body={
            "claim": claim.number,
            "asset": line.asset.code,
            "class": line.claim_class,
            "claimed": claimed,
            "stands": stands,
            "ground": ground,
            "evidence_sha256": evidence.hex() if evidence else "",
        },
    )
    return found
