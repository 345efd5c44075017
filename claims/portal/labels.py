"""What the codes of the register and the cases are called on the customer's pages."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Labels = dict[str, str | Promise]

CLASSES: Labels = {
    "trust_beneficiary": _("Yen held in trust for you"),
    "priority_segregated": _("Crypto-assets kept apart for you"),
    "lending_unsecured": _("Crypto-assets you lent to the exchange"),
    "general": _("Ordinary claim"),
    "own_insider": _("Claim of the exchange's own people"),
    "after_cutoff": _("Received after the cut-off: returned in full"),
}

PROCEEDINGS: Labels = {
    "bankruptcy": _("Bankruptcy proceedings"),
    "civil_rehabilitation": _("Civil rehabilitation proceedings"),
    "corporate_reorganisation": _("Corporate reorganisation proceedings"),
    "special_liquidation": _("Special liquidation proceedings"),
    "living_exchange": _("A running exchange"),
}

TRIGGERS: Labels = {
    "REG_CANCELLED": _("The exchange's registration was cancelled."),
    "SUSPENSION_ORDER": _("The exchange was ordered to suspend its business."),
    "INSOLVENCY_PETITION": _("A petition to open insolvency proceedings was filed."),
    "ABOLITION_OR_DISSOLUTION": _("The exchange gave up its business."),
    "MANAGEMENT_UNLOCATABLE": _("Nobody could find the exchange's offices or officers."),
    "LOSS_OF_MANAGEMENT_CONTROL": _("The exchange's management could not do its work any more."),
    "DOMESTIC_HOLDING_ORDER": _("The exchange was ordered to keep its assets in Japan."),
    "BUSINESS_IMPROVEMENT_ORDER": _("The exchange was ordered to improve its business."),
    "PREPARATION": _("The exchange works as usual; this is a preparation."),
}

DEADLINES: Labels = {
    "filing": _("Last day to file a claim"),
    "late_filing": _("Last day for a late filing"),
    "appeal": _("Last day to appeal against the order"),
    "assessment": _("Last day to ask the court to assess a claim"),
    "assessment_suit": _("Last day to sue over an assessment"),
    "table_objection": _("Last day to object to the dividend table"),
    "exclusion": _("End of the exclusion period"),
    "exclusion_simplified": _("End of the exclusion period (simplified dividend)"),
    "abolition_notice": _("Notice of abolition"),
    "creditors_meeting": _("Meeting of creditors"),
    "plan_submission": _("Last day to submit the plan"),
    "court_report": _("Report to the court"),
    "creditors_meeting_report": _("Meeting of creditors that hears the report on the estate"),
}

# Titles of notices that the office words itself are shown as they went out.
NOTICES: Labels = {
    "Your claim was made from the exchange's ledger": _("Your claim was made from the exchange's ledger"),
}

REASONS: Labels = {
    "scheduled": _("It stands as the exchange's ledger recorded it. You need do nothing for that."),
    "must_file": _("For this kind of claim the recorded balance counts only after it was filed and decided. Until then its share is kept back."),
    "as_recorded": _("The ledger is right."),
    "as_claimed": _("Your figure is right."),
    "in_part": _("Your figure was accepted in part."),
    "deposit_found": _("The exchange's papers show what the ledger had left out."),
    "not_in_any_record": _("No record shows the difference."),
    "no_evidence": _("There was no evidence for it."),
    "not_a_customer": _("The account was not a customer's."),
    "duplicate": _("The same claim is listed elsewhere."),
    "error_of_the_exchange": _("The exchange had made an error."),
    "filed_in_time": _("It was filed in time."),
    "not_filed": _("It was not filed in time."),
    "ledger_corrected": _("The exchange's ledger was corrected."),
    "after_cutoff": _("It came in after the cut-off, as the exchange booked it. It is returned to you in full and is shared with nobody."),
    "unclaimed": _("Nobody claimed it in time, and a court gave it to the other customers."),
}

NETWORKS: Labels = {
    "bank": _("bank transfer"),
    "bitcoin": _("the Bitcoin network"),
    "ethereum": _("the Ethereum network"),
    "xrpl": _("the XRP Ledger"),
}

CHANNELS: Labels = {
    "post": _("by post"),
    "portal": _("on this portal"),
    "gazette": _("in the official gazette"),
    "email": _("by e-mail"),
}


def label(labels: Labels, code: str) -> str:
    """Its name, or the code itself where nobody named it."""
    return str(labels.get(code, code))
