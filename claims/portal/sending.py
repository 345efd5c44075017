"""
Sending what waits to go to claimants: codes by e-mail or post, and notices of what was done in their name.

A code is made here, at the last moment, by a process that holds no session; the database gets its keyed hash. Mails
carry no link and no balance, so that a mail with either is known to be false.
"""

import csv
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import override

from administration.cases.models import Case
from administration.fields import db_now
from claims.portal.entering import code_mac
from claims.portal.models import WARNINGS, Message

CHUNK = 100
TOLD = tuple(WARNINGS)  # what was done in a claimant's name, in the claimant's own language
LEASE = timedelta(minutes=5)  # after which a warning that was taken and not sent is taken again
UNSENT_MAX = 100
NO_ADDRESS, NOT_AN_ADDRESS = "no e-mail address", "not an e-mail address"

TAKE = """
UPDATE portal_message SET taken_at = clock_timestamp()
WHERE id IN (
    SELECT id FROM portal_message WHERE taken_at IS NULL AND claim_id IS NOT NULL AND expires_at > clock_timestamp()
    ORDER BY queued_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id
"""
TAKE_AGAIN = """
UPDATE portal_message SET taken_at = clock_timestamp()
WHERE id IN (
    SELECT id FROM portal_message
    WHERE kind IN ('destination', 'proved') AND sent_at IS NULL AND claim_id IS NOT NULL
      AND taken_at < clock_timestamp() - make_interval(secs => %s) AND expires_at > clock_timestamp()
    ORDER BY taken_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id
"""
WHOM = """
SELECT m.id, m.kind, m.channel, m.language, m.asset, m.ask_sha256, c.number, k.name, k.reference,
       i.name, i.email, i.postcode, i.address, i.language
FROM portal_message m JOIN register_claim c ON c.id = m.claim_id JOIN cases_case k ON k.id = c.case_id
JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
WHERE m.id = ANY (%s) ORDER BY m.id
"""
CODE = "UPDATE portal_message SET code_mac = %s WHERE id = %s"
SENT = "UPDATE portal_message SET sent_at = clock_timestamp(), problem = %s WHERE id = %s"
FAILED = "UPDATE portal_message SET problem = %s WHERE id = %s"


class Waiting(NamedTuple):
    """One message and whom it goes to."""

    pk: int
    kind: str
    channel: str
    language: str
    asset: str
    ask_sha256: bytes | None
    claim: str
    exchange: str
    case: str
    name: str
    email: str
    postcode: str
    address: str
    speaks: str


def send_waiting() -> int:
    """
    Send what waits. Returns how many went out.

    A message is taken, and its code fixed, before anything leaves. A code that was taken by a process that then died is
    not sent again: it expires, and the claimant asks for another. A warning nobody asks for: it is taken again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE, [CHUNK])
        taken = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(TAKE_AGAIN, [LEASE.seconds, CHUNK])
        taken += [pk for (pk,) in cursor.fetchall()]
        if not taken:
            return 0
        cursor.execute(WHOM, [taken])
        messages = [Waiting(*row) for row in cursor.fetchall()]
        codes = {}
        for message in messages:
            if message.ask_sha256 is not None:
                codes[message.pk] = f"{secrets.randbelow(10**8):08d}"
                cursor.execute(CODE, [code_mac(bytes(message.ask_sha256), codes[message.pk]), message.pk])
    return sum(_send(message, codes.get(message.pk, "")) for message in messages)


def _send(message: Waiting, code: str) -> bool:
    try:
        if message.channel == "post":
            _print(message, code)
        elif not message.email:
            _note(FAILED, NO_ADDRESS, message)
            return False
        else:
            _mail(message, code)
    except OSError as trouble:  # every error of a mail server is one
        _note(FAILED, type(trouble).__name__, message)
        return False
    except ValueError:  # and every error of an address is one of these
        _note(FAILED, NOT_AN_ADDRESS, message)
        return False
    _note(SENT, "", message)
    return True


def _note(sql: str, problem: str, message: Waiting) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [problem, message.pk])


def _mail(message: Waiting, code: str) -> None:
    language = message.language if message.kind not in TOLD else ("en" if message.speaks == "en" else "ja")
    with override(language):
        subject, text = _words(message, code)
        EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [message.email]).send()


def _words(message: Waiting, code: str) -> tuple[str, str]:
    words = {"exchange": message.exchange, "code": f"{code[:4]} {code[4:]}", "asset": message.asset, "claim": message.claim}
    if message.kind == "destination":
        subject = _("%(exchange)s: a new place for your returns was given") % words
        first = _(
            "Somebody signed in with your claim code gave a new place to send your %(asset)s to. It is checked first, and "
            "nothing goes there before the waiting time is over. If it was not you, write to the administrator now."
        )
    elif message.kind == "proved":
        subject = _("%(exchange)s: the waiting time of a new place for your returns has begun") % words
        first = _(
            "The place to send your %(asset)s to, given with your claim code, is checked. Nothing goes there before the "
            "waiting time is over; the portal says until when. If it was not you, stop it there, or write to the administrator now."
        )
    elif message.kind == "act":
        subject = _("%(exchange)s: a code to go on with") % words
        first = _("Your code is %(code)s. You are about to do something that concerns your money. The code is good for 20 minutes.")
    else:
        subject = _("%(exchange)s: a code to sign in") % words
        first = _("Your code is %(code)s. It is good for 20 minutes, and only in the browser in which you asked for it.")
    rest = (
        _("Nobody of the administrator's office will ever ask you for this code."),
        _("This mail holds no link and no amount. A mail in our name with either is not ours."),
        _("If you did not ask for it, you need do nothing."),
    )
    return subject, "\n\n".join([first % words, *(rest[:2] if message.kind in TOLD else rest)]) + "\n"


def _print(message: Waiting, code: str) -> None:
    """One line for the printer, in a file that nobody else can read."""
    folder = Path(settings.ARCHIVE_DIR) / "letters"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{message.case}-codes-{datetime.now().astimezone().strftime('%Y%m%d')}.csv"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([message.claim, message.name, message.postcode, message.address, message.language, code])


def unsent(case: Case) -> list[dict[str, Any]]:
    """Warnings to claimants of this case that failed, or were never sent: somebody has to tell them otherwise. Newest first."""
    rows = Message.objects.filter(kind__in=WARNINGS, sent_at__isnull=True, claim__case=case)
    late = Q(taken_at__isnull=True, queued_at__lt=db_now() - LEASE)
    found = (
        rows.filter(~Q(problem="") | Q(taken_at__lt=db_now() - LEASE) | late)
        .values("pk", "kind", "asset", "queued_at", "expires_at", "problem", number=F("claim__number"))
        .order_by("-queued_at")
    )
    return [dict(row) for row in found[:UNSENT_MAX]]


def forget() -> None:
    """Knocks of more than a day ago are of no use to anybody."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM portal_knock WHERE at < clock_timestamp() - interval '1 day'")
