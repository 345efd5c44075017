"""What the judge found: one sentence for each finding, under the invariant it breaks."""

from dataclasses import dataclass, field

DESK_OF = {"rehearsal": "r1", "rehearsal-r2": "r2", "rehearsal-r3": "r3"}
INVARIANTS = {
    "I1": "every unit is accounted for, in our books and against the rail's",
    "I2": "no obligation is paid twice",
    "I3": "every obligation ends settled, or with an owner, and work goes on by itself after a fault",
    "I4": "every payment is what was approved and what is owed",
    "I5": "two people besides the preparer signed exactly what went out, and nothing left while it was stopped",
    "I6": "ours and the rail's agree both ways",
    "I7": "only listed steps, one outcome for each call, a record without gaps that verifies, here and from its export alone",
    "I8": "whatever is said or pressed again changes nothing",
    "I9": "states, sums and pages follow from the evidence",
    "I10": "no decision hangs on a worker's clock",
}
FINDINGS_MAX = 20


@dataclass
class Verdict:
    """No finding under an invariant means that it holds."""

    findings: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in INVARIANTS})
    paid_twice: int = 0
    lost: int = 0
    wrong: int = 0
    unowned_unknown: int = 0
    conservation: dict[str, str] = field(default_factory=dict)
    moving: bool = False  # looked at before everything had come to its end: what is merely not done yet is no finding

    def finds(self, invariant: str, sentence: str, *, at_the_end: bool = False) -> None:
        if at_the_end and self.moving:
            return
        if len(self.findings[invariant]) < FINDINGS_MAX:
            self.findings[invariant].append(sentence)

    @property
    def ok(self) -> bool:
        return not any(self.findings.values())
