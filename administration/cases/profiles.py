"""
The law as data: under which regime a case stands, in which proceeding, and what follows from that.

Profiles are TOML files in profiles/, each with versions that hold from one day to another; what counsel has not
verified in law says so (`confirmed = false`). A number the law has not set yet is not guessed: whoever needs it is
refused, and told its name, where it will be set, and what to do.

    NoSuchProfile   the profile, or what is asked of it, is not there on that day
    Unset           the law leaves the number open
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.errors import Refused

FOLDER = Path(__file__).parent / "profiles"


class NoSuchProfile(Refused):
    """The regime, proceeding, trigger or rule is not there, or not on that day."""


class Unset(Refused):
    """The law has not set this number yet."""


def japanese() -> bool:
    return (get_language() or "").startswith("ja")


# --- what a profile says ----------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """A thing of the law with its name in both languages. The Japanese one is authoritative."""

    code: str
    en: str
    ja: str
    law: str
    confirmed: bool

    def shown(self) -> str:
        name = self.ja if japanese() else self.en
        return name if self.confirmed else _("%(name)s (to be confirmed)") % {"name": name}


@dataclass(frozen=True)
class Trigger(Named):
    """What made the take-over necessary. `moves_trust_powers`: the beneficiary agent takes over the yen trust."""

    moves_trust_powers: bool


@dataclass(frozen=True)
class Parameter:
    """A number the law sets. `value` is None while it has not."""

    name: str
    value: Any
    means: str
    means_ja: str
    law: str
    law_ja: str
    to_do: str
    to_do_ja: str
    confirmed: bool


@dataclass(frozen=True)
class DeadlineRule:
    """A period of the law: how long, counted from what."""

    kind: str
    period: str
    counted_from: str
    law: str
    law_ja: str
    confirmed: bool


@dataclass(frozen=True)
class ClassRule:
    """How a class of claims is treated in a proceeding."""

    claim_class: str
    mechanics: frozenset[str]  # in_kind, money
    silence_stands: bool  # who says nothing is taken to agree with the ledger
    law: str
    confirmed: bool

    @property
    def money_only(self) -> bool:
        return self.mechanics == {"money"}


@dataclass(frozen=True)
class Tail:
    """When a customer counts as unreachable: so many notices, so far apart, and so long after the last."""

    reminders: int
    reminder_days: int
    wait_days: int
    law: str
    law_ja: str
    confirmed: bool


@dataclass(frozen=True)
class DepositGround(Named):
    """A ground of depositing with a Legal Affairs Bureau, and the papers that go with it."""

    papers: tuple[str, ...]
    law_ja: str

    def article(self) -> str:
        """The law it rests on, in the reader's language."""
        return self.law_ja if japanese() else self.law


@dataclass(frozen=True)
class Regime(Named):
    """The law the exchange stands under, as it is between two days."""

    since: date | None  # None: the day is not set yet
    until: date | None
    parameters: Mapping[str, Parameter]
    triggers: Mapping[str, Trigger]
    claim_classes: Mapping[tuple[str, str], str]  # (kind of asset, product)


@dataclass(frozen=True)
class Proceeding(Named):
    """The court's proceeding, as the law has it between two days."""

    since: date | None
    until: date | None
    title_en: str  # of the office-holder
    title_ja: str
    rounding_of_the_final_round: str  # floor or largest_remainder
    classes: Mapping[str, ClassRule]
    deadlines: Mapping[str, DeadlineRule]
    closed_days: frozenset[str]  # "12-29": the court is closed besides weekends and public holidays
    approvals: Mapping[str, tuple[int, bool]]
    tail: Tail
    deposit_grounds: Mapping[str, DepositGround]

    def title(self) -> str:
        return self.title_ja if japanese() else self.title_en


# --- reading ----------------------------------------------------------------------------------


def load(code: str, on: date) -> Regime:
    """The regime as it holds on that day. One whose first day is not set yet is given as the law stands."""
    return _holding(code, _regimes(code), on)


def proceeding(code: str, on: date) -> Proceeding:
    """The proceeding as the law has it on that day."""
    return _holding(code, _proceedings(code), on)


def codes() -> tuple[list[str], list[str]]:
    """Every regime, and every proceeding."""
    return _names("regimes"), _names("proceedings")


class _Dated(Protocol):
    @property
    def since(self) -> date | None: ...

    @property
    def until(self) -> date | None: ...


_V = TypeVar("_V", bound=_Dated)


def _holding(code: str, versions: Iterable[_V], on: date) -> _V:
    for version in versions:
        if (version.since is None or version.since <= on) and (version.until is None or on < version.until):
            return version
    raise NoSuchProfile(
        _("Profile %(code)s does not hold on %(day)s. Look at its versions in administration/cases/profiles.")
        % {"code": code, "day": on.isoformat()}
    )


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (FOLDER / folder).glob("*.toml"))


def _read(folder: str, code: str) -> dict[str, Any]:
    if code not in _names(folder):
        raise NoSuchProfile(
            _("There is no profile “%(code)s”. There are: %(codes)s.")
            % {"code": code, "codes": ", ".join(_names(folder))}
        )
    with open(FOLDER / folder / f"{code}.toml", "rb") as file:
        return tomllib.load(file)


@cache
def _regimes(code: str) -> tuple[Regime, ...]:
    profile = _read("regimes", code)
    return tuple(
        Regime(
            **_named(code, profile),
            since=version.get("from"),
            until=version.get("to"),
            parameters={row["name"]: _parameter(row) for row in version["parameters"]},
            triggers={
                row["code"]: Trigger(**_named(row["code"], row), moves_trust_powers=row["moves_trust_powers"])
                for row in version["triggers"]
            },
            claim_classes={(row["kind"], row["product"]): row["class"] for row in version["claim_classes"]},
        )
        for version in profile["versions"]
    )


@cache
def _proceedings(code: str) -> tuple[Proceeding, ...]:
    profile = _read("proceedings", code)
    return tuple(
        Proceeding(
            **_named(code, profile),
            since=version.get("from"),
            until=version.get("to"),
            title_en=profile["office_holder"]["en"],
            title_ja=profile["office_holder"]["ja"],
            rounding_of_the_final_round=version["rounding_of_the_final_round"],
            classes={
                row["class"]: ClassRule(
                    row["class"], frozenset(row["mechanics"]), row["silence_stands"], row["law"], row["confirmed"]
                )
                for row in version["classes"]
            },
            deadlines={
                row["kind"]: DeadlineRule(
                    row["kind"], row["period"], row["counted_from"], row["law"], row["law_ja"], row["confirmed"]
                )
                for row in version["deadlines"]
            },
            closed_days=frozenset(version["closed_days"]),
            approvals={act: (row["signers"], row["office_holder"]) for act, row in version["approvals"].items()},
            tail=Tail(**version["tail"]),
            deposit_grounds={
                row["ground"]: DepositGround(**_named(row["ground"], row), papers=tuple(row["papers"]), law_ja=row["law_ja"])
                for row in version["deposit_grounds"]
            },
        )
        for version in profile["versions"]
    )


def _named(code: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "en": row["en"], "ja": row["ja"], "law": row["law"], "confirmed": row["confirmed"]}


def _parameter(row: dict[str, Any]) -> Parameter:
    return Parameter(
        row["name"], row.get("value"), row["means"], row["means_ja"], row["law"], row["law_ja"], row.get("to_do", ""),
        row.get("to_do_ja", ""), row.get("confirmed", False),
    )  # fmt: skip


def article(law: str) -> str:
    """A deadline's article, kept in English, as Japanese papers cite it when Japanese is read; what is no profile's stays."""
    return _articles().get(law, law) if japanese() else law


@cache
def _articles() -> dict[str, str]:
    return {
        rule.law: rule.law_ja
        for code in _names("proceedings")
        for version in _proceedings(code)
        for rule in version.deadlines.values()
    }


# --- asking for a case ------------------------------------------------------------------------


def _day(case: Case) -> date:
    """The law of the day the proceeding commenced counts for the case."""
    return timezone.localtime(case.cutoff_at, ZoneInfo(settings.TIME_ZONE)).date()


def regime_of(case: Case) -> Regime:
    return load(case.regime, _day(case))


def proceeding_of(case: Case) -> Proceeding:
    return proceeding(case.proceeding, _day(case))


def need(case: Case, name: str) -> Any:
    """The number the law sets under that name, or a refusal that says why there is none."""
    return need_of(regime_of(case), name)


def need_of(regime: Regime, name: str) -> Any:
    parameter = regime.parameters.get(name)
    if parameter is None:
        raise NoSuchProfile(_("%(regime)s has nothing called “%(name)s”.") % {"regime": regime.code, "name": name})
    if parameter.value is None:
        raise Unset(
            _("“%(name)s” (%(means)s) is not set: %(law)s. %(to_do)s")
            % {
                "name": name,
                "means": parameter.means_ja if japanese() else parameter.means,
                "law": parameter.law_ja if japanese() else parameter.law,
                "to_do": parameter.to_do_ja if japanese() else parameter.to_do,
            }
        )
    return parameter.value


def claim_class(case: Case, *, kind: str, product: str) -> str:
    """The class of what the ledger records of one product in one kind of asset (fiat, coin, token)."""
    classes = regime_of(case).claim_classes
    found = classes.get((kind, product)) or classes.get(("any", product))
    if found is None:
        raise NoSuchProfile(
            _("%(regime)s says no class of claim for product “%(product)s” in %(kind)s. Add it to the profile.")
            % {"regime": case.regime, "product": product, "kind": kind}
        )
    return found


def class_rule(case: Case, claim_class: str) -> ClassRule:
    """What may be given to a class of claims in this proceeding, and what silence means."""
    found = proceeding_of(case).classes.get(claim_class)
    if found is None:
        raise NoSuchProfile(
            _("Proceeding “%(proceeding)s” says nothing of claims of class “%(class)s”. Add it to the profile.")
            % {"proceeding": case.proceeding, "class": claim_class}
        )
    return found


def approval(case: Case, act: str) -> tuple[int, bool]:
    """How many sign for an act, and whether the office-holder must be among them."""
    policies = proceeding_of(case).approvals
    return policies.get(act) or policies["default"]


def deadline_rule(case: Case, kind: str) -> DeadlineRule:
    found = proceeding_of(case).deadlines.get(kind)
    if found is None:
        raise NoSuchProfile(
            _(
                "Proceeding “%(proceeding)s” has no rule for a deadline “%(kind)s”. Give the period and where it is laid down."
            )
            % {"proceeding": case.proceeding, "kind": kind}
        )
    return found
