"""Which rail a return travels on, and the rails this house can use."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from administration import wording
from administration.errors import Refused
from administration.rails.custodian import Custodian
from administration.rails.interface import Rail
from administration.rails.rehearsal import Rehearsal, RehearsalR2, RehearsalR3
from administration.rails.transferee import Transferee
from administration.rails.zengin import NotSetUp, Zengin, read_house

EVERY_OTHER = "*"  # in a mapping of asset code → rail: all assets not named
PAGE = 5_000  # lines of a statement asked for at once

_makers: dict[str, Callable[[], Rail]] = {
    "rehearsal": lambda: Rehearsal(settings.REHEARSAL_URL, page=PAGE),
    "rehearsal-r2": lambda: RehearsalR2(settings.REHEARSAL_URL, page=PAGE, quiet_period=_quiet()),
    "zengin": lambda: _zengin(settings.ZENGIN_FILE),
    "custodian": Custodian,
    "transferee": Transferee,
    "rehearsal-r3": lambda: RehearsalR3(settings.REHEARSAL_URL, page=PAGE, quiet_period=_quiet()),
}


def _quiet() -> timedelta:
    return timedelta(seconds=settings.REHEARSAL_QUIET_SECONDS)


class NoSuchRail(Refused):
    """No rail of that name is set up in this house."""


def _zengin(path: str) -> Zengin:
    if not path:
        raise NoSuchRail(
            _("Rail zengin is not set up: nobody has said from which account it pays. Name the file in ZENGIN_FILE.")
        )
    try:
        return Zengin(*read_house(Path(path).read_bytes()))
    except (OSError, NotSetUp) as wrong:
        raise NoSuchRail(
            _("Rail zengin is not set up: %(file)s cannot be used. %(reason)s") % {"file": path, "reason": wording.said(str(wrong))}
        ) from None


def rail(code: str) -> Rail:
    """The rail of that name, ready to be used."""
    try:
        return _makers[code]()
    except KeyError:
        raise NoSuchRail(
            _("There is no rail called “%(rail)s” here. Known rails: %(known)s.")
            % {"rail": code, "known": ", ".join(sorted(_makers))}
        ) from None


def known(code: str) -> bool:
    return code in _makers


def codes() -> list[str]:
    """Every rail this house can use."""
    return sorted(_makers)


def of_asset(code: str, rails: Mapping[str, str]) -> str:
    """The rail of one asset under a round's mapping; "" when it names none."""
    return rails.get(code) or rails.get(EVERY_OTHER) or ""
