"""
The powers an appointment can carry, in the order of the work, and what each office has by default.

An act names the one power it needs. Signing is no power: it belongs to the office-holder and the approvers.
"""

from administration.cases.models import AppointmentKind

POWERS = {
    "cases.secure": "tick the securing checklist and complete it",
    "cases.convert": "record that the case went to another proceeding",
    "cases.policy": "ask for more signatures than the profile does",
    "appointments.grant": "record appointments and end them",
    "orders.register": "register orders and what became of them",
    "deadlines.set": "compute deadlines and replace them",
    "ledger.take_over": "receive the handover package, inspect it, ask for its acceptance",
    "custody.record": "record holdings with their evidence, reconcile",
    "claims.schedule": "make claims from the ledger, confirm or dispute them on paper",
    "claims.decide": "decide disputed claims",
    "destinations.verify": "enter and verify destinations on paper or by order",
    "distribution.plan": "draft plans, compute runs, ask for their approval",
    "returns.schedule": "schedule a round of returns",
    "returns.batch": "draft, freeze and void batches",
    "returns.export": "export an approved batch and submit it",
    "returns.evidence": "receive evidence and match it",
    "returns.stop": "stop and resume sending",
    "audit.pull": "pull the record and the return log",
}

OFFICE = [power for power in POWERS if power != "audit.pull"]
DEFAULTS: dict[str, list[str]] = {
    AppointmentKind.OFFICE_HOLDER: list(POWERS),
    AppointmentKind.BENEFICIARY_AGENT: ["custody.record", "distribution.plan", "returns.stop", "audit.pull"],
    AppointmentKind.CASE_OFFICER: [
        power for power in OFFICE if power not in ("appointments.grant", "cases.convert", "cases.policy")
    ],
    AppointmentKind.APPROVER: ["returns.stop", "audit.pull"],
    AppointmentKind.AUDITOR: ["audit.pull"],
    AppointmentKind.COURT_READER: [],
}

SIGNING_KINDS = (AppointmentKind.OFFICE_HOLDER, AppointmentKind.APPROVER)
OPENING_KINDS = (AppointmentKind.OFFICE_HOLDER, AppointmentKind.CASE_OFFICER)
WATCHING_KINDS = (AppointmentKind.AUDITOR, AppointmentKind.COURT_READER)
