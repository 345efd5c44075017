"""What the pages of returns share: finding rows of the case by their reference, sums in words, lists with buttons."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.http import Http404
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.books.models import Asset
from administration.cases import appointments
from administration.cases.models import AppointmentKind, Case
from administration.office import readable, words
from administration.office.pages.acting import Table
from administration.office.pages.lists import ListPage
from administration.rails import accounts
from administration.rails.transferee import Transferee
from administration.returns import gates, routes
from administration.returns.models import AssetReturn, Batch, Evidence, EvidenceLine, Match, Round

OWNERS: dict[str, Any] = {
    "customer": lazy("Customer"),
    "office": lazy("The administrator's office"),
    "approvers": lazy("Approvers"),
    "court": lazy("Court"),
    "time": lazy("Time"),
    "nobody": lazy("Nobody"),
}


def rail_name(code: str) -> str:
    return words.of(words.RAILS, code)


def file_of(evidence: Evidence) -> str:
    """The name of a file; of a statement that a rail was asked for, whose it is and from where to where."""
    asked = re.fullmatch(r"\S+ statement (\S*)-(\S+)", evidence.name) if evidence.cursor else None
    if asked is None:
        return wording.said(evidence.name)
    return _("%(rail)s: statement asked for, %(since)s to %(until)s") % {"rail": rail_name(evidence.rail), "since": asked[1], "until": asked[2]}


def place_of(line: EvidenceLine) -> str:
    """Where a line of evidence stands: file and line."""
    return f"{file_of(line.evidence)} · {line.line}"


def rails_in_words(rails: Mapping[str, str]) -> str:
    """Bank transfer (JPY); custodian (all others)."""
    assets: dict[str, list[str]] = {}
    for asset, code in sorted(rails.items(), reverse=True):
        assets.setdefault(code, []).insert(0, str(_("all others")) if asset == routes.EVERY_OTHER else asset)
    return readable.listed(
        _("%(rail)s (%(assets)s)") % {"rail": rail_name(code), "assets": ", ".join(of_rail)} for code, of_rail in assets.items()
    )


# --- rows of the case, or 404 -------------------------------------------------------------------


def batch_of(case: Case, reference: str) -> Batch:
    rows = Batch.objects.select_related("case", "round__run", "order", "prepared_by")
    found = rows.filter(case=case, reference=reference).first()
    if found is None:
        raise Http404
    return found


def return_of(case: Case, reference: str) -> AssetReturn:
    rows = AssetReturn.objects.select_related("case", "asset", "batch", "round__run", "claim_line__claim", "destination", "after")
    found = rows.filter(case=case, reference=reference).first()
    if found is None:
        raise Http404
    return found


def round_of(case: Case, number: int) -> Round:
    found = case.rounds.select_related("run", "by").filter(number=number).first()
    if found is None:
        raise Http404
    return found


def rails_of(case: Case) -> list[str]:
    """The rails that rounds and batches of this case name."""
    used = set(case.batches.values_list("rail", flat=True))
    for rails in case.rounds.values_list("rails", flat=True):
        used |= set(rails.values())
    if case.book_moves.exists():
        used.add(Transferee.code)
    return sorted(code for code in used if code)


def rail_choices(codes: list[str]) -> list[tuple[str, str]]:
    return [(code, rail_name(code)) for code in codes]


# --- words --------------------------------------------------------------------------------------


def assets_of(case: Case) -> dict[str, Asset]:
    return {asset.code: asset for asset in Asset.objects.filter(case=case).order_by("code")}


def sums(case: Case, totals: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Totals by asset code, as (code, "1,234 BTC")."""
    assets = assets_of(case)
    return [(code, readable.money(int(units), assets[code])) for code, units in sorted(totals.items()) if code in assets]


def in_short(case: Case, totals: Mapping[str, Any]) -> str:
    return " + ".join(money for _code, money in sums(case, totals)) or "–"


def in_lines(case: Case, totals: Mapping[str, Any]) -> SafeString | str:
    """For a list: each amount on a line of its own."""
    return format_html_join(SafeString("<br>"), "{}", ((money,) for _code, money in sums(case, totals))) or "–"


def in_words(case: Case, totals: Mapping[str, Any]) -> str:
    """For the middle of a sentence."""
    return readable.in_a_sentence([money for _code, money in sums(case, totals)]) or "–"


def where_to(details: Mapping[str, Any] | str | None) -> str:
    """A destination as a person compares it: every part of it, nothing shortened."""
    found: Mapping[str, Any] = json.loads(details) if isinstance(details, str) else details or {}
    if "bank_code" in found:
        bank, branch = str(found["bank_code"]), str(found.get("branch_code", ""))
        named = accounts.branch(bank, branch)
        parts = [
            f"{named.bank_name} ({bank})" if named else bank, f"{named.branch_name} ({branch})" if named else branch,
            f"{words.of(words.ACCOUNTS, found.get('kind', ''))} {found.get('number', '')}", found.get("holder_kana", ""),
        ]  # fmt: skip
    else:
        parts = [found.get("address", ""), words.of(words.NETWORKS, found.get("network", "")), found.get("memo", "")]
    return " · ".join(str(part) for part in parts if part) or "–"


def whole(text: str) -> str:
    """A number that is not broken over lines."""
    return format_html('<span class="unbroken">{}</span>', text)


def gate_sentence(code: str, asset: str = "") -> str:
    """What a closed gate means, for the office. Without a claim at hand its reason is the gate's name."""
    gate = gates.BY_CODE.get(code)
    if gate is None:
        return code
    return str(gate.office) % {"asset": asset or _("the asset"), "reason": _("see the claim"), "date": "–"}


def gates_table(title: Any, counts: list[tuple[str, int]]) -> Table:
    """How many returns each closed gate keeps back, with its sentence and whose move it is."""
    rows = []
    for code, count in counts:
        gate = gates.BY_CODE.get(code)
        owner = str(OWNERS.get(gate.owner, gate.owner)) if gate else ""
        rows.append([gate_sentence(code), f"{count:,}", owner, str(gate.next_act) if gate else ""])
    return Table(title, [_("Why"), _("Returns"), _("Whose move"), _("Next step")], rows, frozenset({1}))


def people_in_charge(case: Case, at: Any, power: str = "returns.evidence") -> str:
    """Who of the office answers for what waits for a person: the case officers, or else the office-holder."""
    live = list(appointments.live(case, at=at).filter(powers__contains=[power]).select_related("user"))
    officers = [one for one in live if one.kind == AppointmentKind.CASE_OFFICER] or [
        one for one in live if one.kind == AppointmentKind.OFFICE_HOLDER
    ]
    return ", ".join(dict.fromkeys(one.user.first_name or one.user.username for one in officers)) or "–"


def rows_of(sql: str, params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


PENDING = """
SELECT count(*) FILTER (WHERE e.kind <> 'seen') FROM returns_evidenceline e
WHERE e.case_id = %(case)s AND e.problem = '' AND e.id > %(after)s
  AND NOT EXISTS (SELECT FROM returns_match m WHERE m.line_id = e.id)
"""


def fresh_lines(case: Case) -> int:
    """Lines that nobody has looked at; those far behind the newest match were."""
    newest = Match.objects.filter(line__case=case).order_by("-pk").values_list("line_id", flat=True).first() or 0
    (fresh,) = rows_of(PENDING, {"case": case.pk, "after": max(0, newest - 200_000)})[0]
    return int(fresh)


class ButtonList(ListPage):
    """A list with a sentence and buttons above it."""

    template = "office/returns/list.html"
    intro: Any = ""
    leads = False  # the first button is what is done next

    def buttons(self) -> list[tuple[Any, str]]:
        """Words and address of each; only what the person may do."""
        return []

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().context(**kwargs), "buttons": self.buttons(), "intro": self.intro, "leads": self.leads}
