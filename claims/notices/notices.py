"""Telling all claimants, or one of them, something: numbered, by its hash, with the proof that it went out."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from claims.notices.models import Notice
from claims.register.models import Claim

CHANNELS = ("post", "portal", "gazette", "email")
COVER = "notices.issued"
COVERED = """
SELECT n.number::text AS number, n.kind, c.number AS claim, n.channel, encode(n.text_sha256, 'hex') AS text
FROM notices_notice n JOIN cases_case k ON k.id = n.case_id LEFT JOIN register_claim c ON c.id = n.claim_id
WHERE k.reference = %(case)s AND n.number BETWEEN %(first)s::bigint AND %(last)s::bigint
ORDER BY n.number
"""
LOCK_CLASS = 0x4E4F5449  # "NOTI": our class of advisory locks


class NotIssued(Refused):
    """A notice needs a known channel, a title and a text, and a claim of its own case."""


@transaction.atomic
def issue(
    case: Case,
    kind: str,
    title: str,
    text: str,
    channel: str,
    *,
    claim: Claim | None = None,
    proof: str = "",
    by: User,
    at: datetime,
) -> Notice:
    """Record that `text` went out by `channel`, to all or to one claim. The text itself is kept with the case's papers."""
    appointments.require(case, by, "claims.schedule", at=at)
    if channel not in CHANNELS or not title.strip() or not text.strip():
        raise NotIssued(_("A notice needs a title, a text, and a channel out of %(channels)s.") % {
            "channels": ", ".join(CHANNELS)})  # fmt: skip
    if claim is not None and claim.case_id != case.pk:
        raise NotIssued(_("Claim %(claim)s is of another case.") % {"claim": claim})
    with connection.cursor() as cursor:  # one number after the other
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_CLASS, case.pk % 2**31])
    last = Notice.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0
    made = Notice.objects.create(
        case=case, number=last + 1, kind=kind, claim=claim, channel=channel, title=title,
        text_sha256=hashlib.sha256(text.encode()).digest(), proof=proof, sent_at=at, by=by,
    )  # fmt: skip
    body = {
        "number": made.number, "kind": kind, "channel": channel, "title": title, "proof": proof,
        "claim": claim.number if claim else "", "text_sha256": made.text_sha256.hex(),
    }  # fmt: skip
    log.append(case, "notice.issued", subject=made, by=by, at=at, body=body)
    return made


@transaction.atomic
def issue_to(
    case: Case, kind: str, texts: Sequence[tuple[int, str, str]], channel: str, *, by: User, at: datetime
) -> tuple[int, int]:
    """
    Record that each of these claims was written to: (claim, title, text). One event for all of them.

    Gives the first and the last number.
    """
    appointments.require(case, by, "claims.schedule", at=at)
    if channel not in CHANNELS or not texts:
        raise NotIssued(_("Notices need somebody to go to, and a channel out of %(channels)s.") % {
            "channels": ", ".join(CHANNELS)})  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_CLASS, case.pk % 2**31])
    last = Notice.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0
    Notice.objects.bulk_create(
        Notice(
            case=case, number=last + n, kind=kind, claim_id=claim, channel=channel, title=title,
            text_sha256=hashlib.sha256(text.encode()).digest(), sent_at=at, by=by,
        )
        for n, (claim, title, text) in enumerate(texts, start=1)
    )  # fmt: skip
    first, last = last + 1, last + len(texts)
    log.append(
        case, "notices.issued", subject=case, by=by, at=at,
        body={"kind": kind, "channel": channel, "count": len(texts), "first": first, "last": last},
        covers=covers.cover(COVER, case=case.reference, first=first, last=last),
    )  # fmt: skip
    return first, last
