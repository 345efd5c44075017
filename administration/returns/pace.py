"""
What two people sign before a rail may carry more, or at other hours: bound to exactly the row that it makes.

    NotAsked   there is nothing to ask for
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.record.encoding import canonical
from administration.returns.models import PaceChange

ACT = "returns.pace"

Make = Callable[..., Any]
_makers: dict[str, Make] = {}  # kind of row → who makes it once it is signed


class NotAsked(Refused):
    """Two people are asked for one change, with its reason."""


def register(kinds: tuple[str, ...], make: Make) -> None:
    """Say who makes the rows of these kinds."""
    _makers.update(dict.fromkeys(kinds, make))


@transaction.atomic
def ask(
    case: Case, rail: str, body: Mapping[str, str], *, reason: str, by: User, at: datetime
) -> ApprovalRequest:
    """Write down what is wanted and ask for signatures. The caller has looked that `by` may."""
    if not reason.strip():
        raise NotAsked(_("Say why the rail may carry more, or at other hours: two people sign for it."))
    text = canonical(dict(body))
    made = PaceChange.objects.create(
        case=case, rail=rail, body=text, sha256=hashlib.sha256(text.encode()).digest(), reason=reason, by=by, at=at
    )
    asked = approvals.request(made, case=case, act=ACT, content_sha256=bytes(made.sha256), by=by, at=at)
    log.append(
        case, "rail.change_asked", subject=made, by=by, at=at, body={**body, "reason": reason, "request": asked.pk}
    )
    return asked


def content(change_id: int) -> bytes:
    """The hash of what is asked, from its row as it is."""
    body = PaceChange.objects.values_list("body", flat=True).get(pk=change_id)
    return hashlib.sha256(body.encode()).digest()


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: the row is made."""
    change = PaceChange.objects.select_related("case", "by").get(pk=request.object_id)
    words = said(change)
    _makers[words["kind"]](change, words, by=by, at=at)


def said(change: PaceChange) -> dict[str, str]:
    """What exactly is asked."""
    found: dict[str, str] = json.loads(change.body)
    return found
