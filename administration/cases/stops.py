"""
Stopping what leaves the house, at once and by one person; resuming takes two.

    Stopped     nothing may be sent on this rail, or in this case, now
    NotLifted   the stop cannot be lifted like that
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from administration.cases import appointments
from administration.cases.models import Case, Stop, StopLift, Succession
from administration.cases.powers import SIGNING_KINDS
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

LIFTS_NEEDED = 2


class Stopped(Refused):
    """Sending is stopped."""


class NotLifted(Refused):
    """A stop is not lifted by this person, or not in this way."""


def check(case: Case, rail: str | None = None) -> None:
    """
    Refuse if sending is stopped: in the whole case, or on this rail.

    Call it in the transaction that lets something out, before anything else there: a stop waits for whoever
    has passed this check, so that once stop() returns nothing passes any more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM cases_case WHERE id = %s FOR SHARE", [case.pk])
    stop = Stop.objects.filter(case=case, lifted_at__isnull=True, rail__in=["", rail or ""]).order_by("pk").first()
    if stop:
        raise Stopped(
            _(
                "Sending is stopped in case %(case)s (%(where)s) since %(at)s: %(reason)s "
                "Two people, office-holder or approvers, can resume it."
            )
            % {
                "case": case,
                "where": stop.rail or _("every rail"),
                "at": stop.at.isoformat(timespec="minutes"),
                "reason": reason_of(stop),
            }
        )


@transaction.atomic
def stop(case: Case, *, reason: str, by: User, at: datetime, rail: str = "") -> Stop:
    """Stop a rail, or (rail empty) the whole case. Anyone appointed can, at once."""
    appointments.require_any(case, by, at=at)
    if not reason.strip():
        raise NotLifted(_("Say in one sentence why sending is to stop."))
    made = put(case, reason=reason, by=by, at=at, rail=rail)
    log.append(case, "stop.made", subject=made, by=by, at=at, body={"rail": rail, "reason": reason})
    return made


def put(
    case: Case, *, reason: str, by: User | None, at: datetime, rail: str = "", words: Mapping[str, Any] | None = None
) -> Stop:
    """
    The row of a stop, once whoever has passed check() is through.

    With `words` the reason is the house's own: a sentence marked by gettext_noop with its placeholders, kept in English
    and told to each reader in theirs. A word may be such a sentence again: {"sentence": …, "words": …}.
    """
    told = "" if words is None else json.dumps({"sentence": reason, "words": dict(words)}, ensure_ascii=False, sort_keys=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM cases_case WHERE id = %s FOR NO KEY UPDATE", [case.pk])
    if words is not None:
        with override("en"):
            reason = _said({"sentence": reason, "words": dict(words)})
    return Stop.objects.create(case=case, rail=rail, reason=reason, told=told, by=by, at=at)


def reason_of(stop: Stop) -> str:
    """Why it was stopped, as whoever stopped it said, or as the house says it in the reader's language."""
    return _said(json.loads(stop.told)) if stop.told else stop.reason


def _said(told: Mapping[str, Any]) -> str:
    words = {name: _said(word) if isinstance(word, Mapping) else word for name, word in told["words"].items()}
    return _(told["sentence"]) % words if words else _(told["sentence"])


@transaction.atomic
def lift(stop: Stop, *, by: User, at: datetime) -> Stop:
    """One of the two words that sending may resume; the second one resumes it."""
    stop = Stop.objects.select_for_update(of=("self",)).select_related("case").get(pk=stop.pk)
    if stop.lifted_at:
        raise NotLifted(_("This stop was lifted already."))
    if Succession.objects.filter(stop=stop).exists():
        raise NotLifted(_("This stop came with a succession. It ends when the successor accepts the office."))
    signing = appointments.live(stop.case, at=at).filter(user=by, kind__in=SIGNING_KINDS)
    if not signing.exists():
        raise NotLifted(
            _(
                "%(user)s may not resume sending in case %(case)s: that takes two of the office-holder and the approvers."
            )
            % {"user": by.username, "case": stop.case}
        )
    if stop.lifts.filter(by=by).exists():
        raise NotLifted(_("%(user)s said so already. A second person must.") % {"user": by.username})
    StopLift.objects.create(stop=stop, by=by, at=at)
    if stop.lifts.count() < LIFTS_NEEDED:
        log.append(stop.case, "stop.lift_signed", subject=stop, by=by, at=at, body={"rail": stop.rail})
        return stop
    stop.lifted_at = at
    stop.save(update_fields=["lifted_at"])
    log.append(stop.case, "stop.lifted", subject=stop, by=by, at=at, body={"rail": stop.rail})
    return stop
