"""Step 3: what is owed and what is held, per asset."""

from argparse import ArgumentParser
from typing import Any

from administration.amounts import show
from administration.custody import reconciliation
from administration.office.command import ActCommand


class Command(ActCommand):
    help = "State what is owed, what is held and proved, and the difference of every asset of a case."
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        rows = reconciliation.run(case, by=self.actor(), at=self.now())
        number = rows[0].number if rows else 0
        outcome = self.outcome(
            f"reconciliation {number}", "short" if any(row.difference < 0 for row in rows) else "covered",
            count=len(rows), totals={row.asset.code: row.held_proved for row in rows},
            content_sha256=bytes.fromhex(reconciliation.cover(case, number).sha256),
        )  # fmt: skip
        return outcome | {
            "assets": [
                {
                    "asset": row.asset.code,
                    "scale": row.asset.scale,
                    "ledger": str(row.ledger),
                    "adjustments": str(row.adjustments),
                    "after_cutoff": str(row.after_cutoff),
                    "owed": str(row.owed),
                    "held": str(row.held_proved),
                    "held_other": str(row.held_other),
                    "difference": str(row.difference),
                    "coverage": reconciliation.coverage(row),
                }
                for row in rows
            ]
        }

    def sentence(self, result: dict[str, Any]) -> str:
        """A table: one asset a line."""
        lines = [f"{result['object']}: {result['state']}", f"{'asset':<8}{'owed':>32}{'held':>32}{'difference':>32}"]
        for row in result["assets"]:
            figures = (show(int(row[name]), row["scale"]) for name in ("owed", "held", "difference"))
            lines.append(f"{row['asset']:<8}" + "".join(f"{figure:>32}" for figure in figures))
        return "\n".join(lines)
