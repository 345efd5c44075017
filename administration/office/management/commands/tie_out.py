"""`tie_out CASE`: both statements of the estate, proved to the unit."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from administration.amounts import show
from administration.office.command import ActCommand
from claims.register.tie_out import tie_out


class Command(ActCommand):
    help = "Prove both statements of every asset to the unit; exit 1 if one does not tie."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case", metavar="CASE", help="the case's reference")

    def run(self, *, case: str, **options: Any) -> dict[str, Any]:
        return tie_out(self.case(case))

    def sentence(self, result: dict[str, Any]) -> str:
        claims = {row["code"]: row for row in result["claims"]}
        lines = []
        for row in result["assets"]:
            code, scale, claim = row["code"], row["scale"], claims[row["code"]]
            off = row["difference"] if row["difference"] != "0" else claim["difference"]
            state = _("ties") if off == "0" else _("is off by %(amount)s") % {"amount": show(int(off), scale)}
            lines.append(
                _(
                    "%(asset)s %(state)s: custody %(closing)s, admitted %(admitted)s, settled %(settled)s, entitled %(entitled)s"
                )
                % {
                    "asset": code,
                    "state": state,
                    "closing": show(int(row["closing"]), scale),
                    "admitted": show(int(claim["admitted"]), scale),
                    "settled": show(int(claim["settled"]), scale),
                    "entitled": show(int(claim["entitled"]), scale),
                }
            )
        return "\n".join(lines)
