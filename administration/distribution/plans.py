"""
Plans: how the estate is shared, as data. TOML text under a strict schema, kept version by version.

    BadPlan   the text is not a plan this system can carry out; the message names the key and what to write

A documented plan to start from: example_plan.toml beside this file.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from administration.amounts import BadAmount, parse
from administration.books.models import Asset
from administration.cases import appointments, profiles
from administration.cases.models import Case
from administration.distribution.models import Plan
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from claims.register.models import SHARING, ClaimClass

EXAMPLE = Path(__file__).parent / "example_plan.toml"
EXAMPLE_JA = EXAMPLE.with_stem("example_plan_ja")  # the same, explained in Japanese
ITS_NAMES = (gettext_noop("First interim return in kind"), gettext_noop("customers"))  # pages say them in the language of the reader
EVERY_ASSET, EVERY_OTHER_ASSET = "every asset", "every other asset"
FLOOR, LARGEST_REMAINDER = "floor", "largest remainder"
NUMBER_MAX = 10**18


class BadPlan(Refused):
    """The text is not a plan that can be carried out."""


@dataclass(frozen=True)
class Holdback:
    """What stays back of a pool: a fraction of everything ever put aside for it, or amounts by asset code."""

    num: int = 0
    den: int = 1
    amounts: Mapping[str, str] | None = None  # decimal text
    reason: str = ""

    def of(self, everything: int, asset: Asset) -> int:
        """Whole units kept back of `everything`, rounded up: what is kept back is never short."""
        fraction = -(-everything * self.num // self.den)
        text = (self.amounts or {}).get(asset.code)
        return fraction + (parse(text, asset.scale) if text else 0)


@dataclass(frozen=True)
class PoolRule:
    """One pool of a plan."""

    name: str
    assets: str | tuple[str, ...]
    classes: tuple[str, ...]
    source: str
    reserve_disputed: bool
    holdback: Holdback
    rounding: str | None  # None: what the proceeding's profile says


@dataclass(frozen=True)
class Rules:
    """What a plan says."""

    name: str
    kind: str
    pools: tuple[PoolRule, ...]
    unclaimed: str = "deposit"  # what becomes of what nobody claims: deposit (with the Bureau), redistribute (by a court's order)


@transaction.atomic
def draft(case: Case, body: str, *, by: User, at: datetime) -> Plan:
    """Keep the next version of a case's plan, if its text is one. Nothing is computed yet."""
    appointments.require(case, by, "distribution.plan", at=at)
    rules = read(body)
    pairs(case, rules)
    Case.objects.select_for_update().get(pk=case.pk)  # versions follow one another
    sha256 = hashlib.sha256(body.encode()).digest()
    newest = Plan.objects.filter(case=case).order_by("-version").first()
    if newest and bytes(newest.sha256) == sha256:
        return newest
    plan = Plan.objects.create(
        case=case, version=newest.version + 1 if newest else 1, name=rules.name, body=body, sha256=sha256,
        drafted_by=by, drafted_at=at,
    )  # fmt: skip
    log.append(
        case, "plan.drafted", subject=plan, by=by, at=at,
        body={"version": plan.version, "name": plan.name, "kind": rules.kind, "sha256": sha256.hex()},
    )  # fmt: skip
    return plan


# --- the text ---------------------------------------------------------------------------------

PLAN_KEYS = {"name": str, "kind": str, "pool": list, "unclaimed": str}
UNCLAIMED = ("deposit", "redistribute")
POOL_KEYS = {
    "name": str, "assets": (str, list), "classes": list, "source": str, "holdback": dict, "reserve_disputed": bool,
    "rounding": str,
}  # fmt: skip
HOLDBACK_KEYS = {"num": int, "den": int, "amounts": dict, "reason": str}


def read(body: str) -> Rules:
    """The rules in a plan's text. Refuses every key and value that is not known, by name."""
    try:
        said = tomllib.loads(body)
    except tomllib.TOMLDecodeError as error:
        raise BadPlan(_("The plan is not TOML: %(error)s. Mend that place.") % {"error": error}) from None
    _check(said, PLAN_KEYS, ("name", "kind", "pool"), where=_("the plan"))
    if said["kind"] not in ("interim", "final"):
        raise BadPlan(_("“kind” is “%(kind)s”. Write “interim” or “final”.") % {"kind": said["kind"]})
    if not said["name"].strip():
        raise BadPlan(_("“name” is empty. Say what the plan is called."))
    if said.get("unclaimed", "deposit") not in UNCLAIMED:
        raise BadPlan(
            _("“unclaimed” is “%(branch)s”. Write “deposit” or “redistribute”.") % {"branch": said["unclaimed"]}
        )
    if not said["pool"] or not all(isinstance(pool, dict) for pool in said["pool"]):
        raise BadPlan(_("The plan has no pool. Add at least one [[pool]]."))
    pools = tuple(_pool(pool, said["kind"]) for pool in said["pool"])
    names = [pool.name for pool in pools]
    for name in names:
        if names.count(name) > 1:
            raise BadPlan(_("Two pools are called “%(name)s”. Give each its own name.") % {"name": name})
    if sum(pool.assets in (EVERY_ASSET, EVERY_OTHER_ASSET) for pool in pools) > 1 or (
        len(pools) > 1 and any(pool.assets == EVERY_ASSET for pool in pools)
    ):
        raise BadPlan(
            _("An asset would be shared in two pools. Name the assets, and write “every other asset” in one pool.")
        )
    return Rules(said["name"], said["kind"], pools, said.get("unclaimed", "deposit"))


def _check(said: dict[str, Any], known: Mapping[str, Any], needed: tuple[str, ...], *, where: str) -> None:
    for key, value in said.items():
        if key not in known:
            raise BadPlan(
                _("“%(key)s” in %(where)s is not known. Known are: %(known)s. Remove it or correct its name.")
                % {"key": key, "where": where, "known": ", ".join(known)}
            )
        if not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is not bool):
            raise BadPlan(
                _("“%(key)s” in %(where)s is not of the right kind. See the example plan.")
                % {"key": key, "where": where}
            )
    for key in needed:
        if key not in said:
            raise BadPlan(_("“%(key)s” is missing in %(where)s. Add it.") % {"key": key, "where": where})


def _pool(said: dict[str, Any], kind: str) -> PoolRule:
    where = _("pool “%(name)s”") % {"name": said.get("name", "?")}
    _check(said, POOL_KEYS, ("name", "assets", "classes"), where=where)
    if not 1 <= len(said["name"].strip()) <= 30:
        raise BadPlan(_("The name of %(where)s must have 1 to 30 letters.") % {"where": where})
    if said.get("source", "free") != "free":
        raise BadPlan(
            _("“source” in %(where)s is “%(source)s”. Pools come from what is “free” in the books.")
            % {"where": where, "source": said["source"]}
        )
    assets = said["assets"]
    if isinstance(assets, str):
        if assets not in (EVERY_ASSET, EVERY_OTHER_ASSET):
            raise BadPlan(
                _("“assets” in %(where)s is “%(assets)s”. Write a list of codes, “every asset” or “every other asset”.")
                % {"where": where, "assets": assets}
            )
    else:
        assets = _names(assets, "assets", where)
    classes = _names(said["classes"], "classes", where)
    for name in classes:
        if name == ClaimClass.AFTER_CUTOFF:
            raise BadPlan(
                _("“classes” in %(where)s names “%(class)s”. What came in after the cut-off is returned in full and is in no pool: take it out.")
                % {"where": where, "class": name}
            )
        if name not in SHARING:
            raise BadPlan(
                _("“%(class)s” in %(where)s is no class of claims. The classes are: %(classes)s.")
                % {"class": name, "where": where, "classes": ", ".join(SHARING)}
            )
    rounding = said.get("rounding")
    if rounding is not None and rounding not in (FLOOR, LARGEST_REMAINDER):
        raise BadPlan(
            _("“rounding” in %(where)s is “%(rounding)s”. Write “floor” or “largest remainder”.")
            % {"where": where, "rounding": rounding}
        )
    if rounding == LARGEST_REMAINDER and kind != "final":
        raise BadPlan(
            _(
                "“rounding” in %(where)s is “largest remainder”, which in an interim round could give a customer less "
                "in the next. Use it in a final plan only."
            )
            % {"where": where}
        )
    return PoolRule(
        said["name"], assets, classes, "free", said.get("reserve_disputed", True),
        _holdback(said["holdback"], where) if "holdback" in said else Holdback(), rounding,
    )  # fmt: skip


def _names(said: list[Any], key: str, where: str) -> tuple[str, ...]:
    if not said or not all(isinstance(name, str) for name in said) or len(set(said)) != len(said):
        raise BadPlan(
            _("“%(key)s” in %(where)s must be a list of different names, at least one.") % {"key": key, "where": where}
        )
    return tuple(said)


def _holdback(said: dict[str, Any], where: str) -> Holdback:
    where = _("the holdback of %(where)s") % {"where": where}
    _check(said, HOLDBACK_KEYS, ("reason",), where=where)
    if not said["reason"].strip():
        raise BadPlan(_("“reason” in %(where)s is empty. Say what is kept back for.") % {"where": where})
    num, den, amounts = said.get("num", 0), said.get("den", 1), said.get("amounts")
    if ("num" in said) != ("den" in said) or not 0 <= num <= den or not 1 <= den <= NUMBER_MAX:
        raise BadPlan(
            _("“num” and “den” in %(where)s are a fraction from 0 to 1. Write both, as whole numbers.")
            % {"where": where}
        )
    if amounts is not None and not all(isinstance(text, str) for text in amounts.values()):
        raise BadPlan(_('“amounts” in %(where)s are decimal texts in quotes: BTC = "1.5".') % {"where": where})
    if num == 0 and not amounts:
        raise BadPlan(_("%(where)s keeps nothing back. Remove it, or say how much.") % {"where": where})
    return Holdback(num, den, amounts, said["reason"])


# --- the text and the case --------------------------------------------------------------------


@dataclass(frozen=True)
class Sharing:
    """One asset of the case, the pool it is shared in, and the classes that share in it."""

    asset: Asset
    pool: PoolRule
    classes: tuple[str, ...]
    rounding: str


def pairs(case: Case, rules: Rules) -> list[Sharing]:
    """Which asset is shared in which pool by which classes, in the order of pool names and asset codes."""
    assets = {asset.code: asset for asset in Asset.objects.filter(case=case)}
    pool_of: dict[str, PoolRule] = {}
    for pool in rules.pools:
        for code in pool.assets if isinstance(pool.assets, tuple) else ():
            if code not in assets:
                raise BadPlan(
                    _(
                        "Case %(case)s has no asset “%(asset)s”, which pool “%(pool)s” names. Its assets are: %(assets)s."
                    )
                    % {"case": case, "asset": code, "pool": pool.name, "assets": ", ".join(sorted(assets))}
                )
            if code in pool_of:
                raise BadPlan(_("%(asset)s is named in two pools. An asset is shared in one only.") % {"asset": code})
            pool_of[code] = pool
    for pool in rules.pools:
        if isinstance(pool.assets, str):
            pool_of |= {code: pool for code in assets if code not in pool_of}
        for code, text in (pool.holdback.amounts or {}).items():
            _hold_back(code, text, pool, assets, pool_of)
    found = []
    for code, pool in pool_of.items():
        mechanic = "money" if assets[code].kind == "fiat" else "in_kind"
        classes = tuple(c for c in pool.classes if mechanic in profiles.class_rule(case, c).mechanics)
        if not classes and isinstance(pool.assets, tuple):
            raise BadPlan(
                _("No class of pool “%(pool)s” may be given %(asset)s in this proceeding. Take it out of the pool.")
                % {"pool": pool.name, "asset": code}
            )
        if classes:
            found.append(Sharing(assets[code], pool, classes, _rounding(case, rules, pool)))
    return sorted(found, key=lambda sharing: (sharing.pool.name.encode(), sharing.asset.code.encode()))


def _hold_back(code: str, text: str, pool: PoolRule, assets: dict[str, Asset], pool_of: dict[str, PoolRule]) -> None:
    if code not in assets or pool_of.get(code) is not pool:
        raise BadPlan(
            _("The holdback of pool “%(pool)s” names %(asset)s, which is not shared in it. Remove it.")
            % {"pool": pool.name, "asset": code}
        )
    try:
        if parse(text, assets[code].scale) < 0:
            raise BadAmount(text)
    except BadAmount:
        raise BadPlan(
            _(
                "The holdback of %(asset)s in pool “%(pool)s” is “%(text)s”: not an amount with at most %(scale)s places."
            )
            % {"asset": code, "pool": pool.name, "text": text, "scale": assets[code].scale}
        ) from None


def _rounding(case: Case, rules: Rules, pool: PoolRule) -> str:
    if rules.kind != "final":
        return FLOOR
    return pool.rounding or profiles.proceeding_of(case).rounding_of_the_final_round.replace("_", " ")
