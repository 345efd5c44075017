"""Posting to the estate's books what moves no customer's position. The rest goes through claims.register.positions."""

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, connection, models, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record.log import named

Subject = models.Model | tuple[str, object]

POST = "SELECT books_post(%s, %s, %s, %s::bigint[], %s::numeric[], %s, %s, %s, %s, %s)"


class NotPosted(Refused):
    """The books refused an entry."""


class Overdrawn(NotPosted):
    """An account does not hold what the entry takes from it."""


class KeyUsedTwice(NotPosted):
    """The same key came with another body: two different events claim to be one."""


def post(
    case: Case,
    kind: str,
    *,
    idem_key: str,
    lines: Iterable[tuple[Asset, int]],
    subject: Subject,
    by: User | None,
    at: datetime,
    ref: str = "",
) -> int | None:
    """
    Post one entry: `kind` says which account is debited and which credited, `lines` how much of which asset.

    Returns the number of the entry, or None when this very entry was posted before under this key.
    `ref` names the suspense, for kinds that have one.
    """
    assets, amounts = [], []
    for asset, amount in lines:
        assets.append(asset.pk)
        amounts.append(whole(amount))
    subject_kind, subject_id = named(subject)
    who = by.username if by else ""
    with refusing(kind), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(POST, [case.pk, kind, idem_key, assets, amounts, ref, subject_kind, subject_id, who, at])
        (entry,) = cursor.fetchone()
    return None if entry is None else int(entry)


def whole(amount: int) -> int:
    """The amount itself, which must be an `int`: a float or Decimal near value is a defect."""
    if type(amount) is not int:
        raise TypeError(f"Units are whole int, not {type(amount).__name__}: {amount!r}.")
    return amount


class refusing:  # noqa: N801 - reads as a verb: "with refusing(kind):"
    """Turn what the database refuses of an entry into a sentence; anything else passes through."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, IntegrityError):
            return
        said = str(error)
        if "balance_is_never_overdrawn" in said:
            raise Overdrawn(
                _("An account of the estate does not hold that much. Look at the asset statement first.")
            ) from error
        if "_key_posts_once" in said or "_key_moves_once" in said:
            raise KeyUsedTwice(
                _("%(kind)s was refused: its key was used before for something else. Nothing was changed.")
                % {"kind": self.kind}
            ) from error
        raise NotPosted(
            _("%(kind)s was refused by the books: %(reason)s") % {"kind": self.kind, "reason": said.splitlines()[0]}
        ) from error
