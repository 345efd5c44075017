"""One page about a package that was validated: can it be taken over, what adds up, what is held apart. Both languages."""

from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from administration import amounts, wording
from administration.ledger import validating
from administration.ledger.validating import Validation
from administration.office import words
from administration.office.templatetags.office import jst

LANGUAGES = ("ja", "en")
LISTED_MAX = 200  # kinds of findings; the whole list comes with --json


def html(found: Validation) -> str:
    """The page, complete in one file."""
    pages = []
    for language in LANGUAGES:
        with translation.override(language):
            pages.append({"language": language, **_page(found, language)})
    manifest = found.manifest
    return render_to_string("office/validation.html", {
        "pages": pages, "verdict": found.verdict, "exchange": manifest.case.exchange_name if manifest else "",
        "sha256": manifest.sha256 if manifest else "–",
    })  # fmt: skip


def verdict(found: Validation) -> str:
    """Whether an administrator could take the package over, in a sentence."""
    return {
        validating.READY: _("Ready: an administrator could take this package over today, and everything owed is held."),
        validating.REMARKS: _("Ready, with remarks: the package could be taken over today; somebody should look at the findings."),
        validating.SHORT: _("The package could be taken over, but what is held apart is not as the law asks."),
        validating.NOT_READY: _("Not ready: a take-over would refuse this package."),
    }[found.verdict]  # fmt: skip


def _page(found: Validation, language: str) -> dict[str, Any]:
    manifest, report = found.manifest, found.report
    case = manifest.case if manifest else None
    return {
        "title": _("Readiness for a take-over"),
        "exchange": (case.exchange_name if language == "ja" else case.exchange_name_en) if case else "",
        "stand": _("%(accounts)s accounts, %(balances)s balances as of %(at)s.")
        % {
            "accounts": f"{report.accounts:,}", "balances": f"{report.balances:,}",
            "at": jst(manifest.cutoff_at) if manifest else "–",
        },
        "verdict": verdict(found),
        "tables": [_totals(found), _segregation(found), _findings(found)],
    }  # fmt: skip


def _totals(found: Validation) -> dict[str, Any]:
    scales = {asset.code: asset.scale for asset in found.manifest.assets} if found.manifest else {}

    def shown(units: int | None, asset: str) -> str:
        return "–" if units is None else amounts.show(units, scales.get(asset, 0))

    return {
        "title": _("Control totals"),
        "intro": _("What another book of the exchange says the balances add up to, beside what they do add up to."),
        "head": [_("Asset"), _("Product"), _("Declared"), _("Added up"), _("Difference"), _("Balances"), _("Source")],
        "numeric": (2, 3, 4, 5),
        "rows": [
            [
                total.asset, words.of(words.PRODUCTS, total.product), shown(total.declared, total.asset),
                shown(total.computed, total.asset),
                "–" if total.declared is None else shown(total.declared - total.computed, total.asset),
                f"{total.computed_accounts:,}", total.source if total.declared is not None else _("nobody"),
            ]
            for total in found.report.totals
        ],
        "empty": _("Nothing was compared."),
    }  # fmt: skip


def _segregation(found: Validation) -> dict[str, Any]:
    share = found.hot_share
    hot = "–" if share is None else f"{int(share * 10_000) / 100:.2f}"
    return {
        "title": _("What is held apart for customers"),
        "intro": _("Places whose control was shown. Of the value of customers' coins, %(hot)s %% are hot; the law allows 5 %%.") % {"hot": hot},
        "head": [
            _("Asset"), _("Owed"), _("Lent to the exchange"), _("Held apart"), _("Of it hot"), _("Guarantee coins"),
            _("Guarantee missing"), _("Unproved"), _("Above or below what is owed"),
        ],
        "numeric": (1, 2, 3, 4, 5, 6, 7, 8),
        "rows": [
            [one.asset, *(
                amounts.show(units, one.scale)
                for units in (one.owed, one.lent, one.segregated, one.hot, one.guarantee, one.guarantee_missing, one.unproved, one.difference)
            )]
            for one in found.assets
        ],
        "empty": _("Nothing was compared."),
    }  # fmt: skip


def _findings(found: Validation) -> dict[str, Any]:
    return {
        "title": _("Findings"),
        "intro": _("The first of each kind, and how many rows it stands for."),
        "head": [_("Weight"), _("File"), _("Row"), _("Column"), _("Rows"), _("Reason"), _("What to do")],
        "numeric": (2, 4),
        "rows": [
            [
                words.of(words.SEVERITIES, one.severity), one.file, one.row or "–", one.column or "–", f"{one.rows:,}",
                wording.said(one.reason), wording.said(one.remedy),
            ]
            for one in found.first_findings()[:LISTED_MAX]
        ],
        "empty": _("Nothing was found."),
    }  # fmt: skip
