"""
What the codes of the case are called where people read them, in both languages.

Codes never change (they are in the record); words may. `of(WORDS, code)` gives the code itself where there is no word.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

Words = Mapping[str, Any]


def of(words: Words, code: str) -> str:
    """The word for a code; the code where nobody gave it one."""
    return str(words.get(str(code), code))


def choices(words: Words, codes: Any = None) -> list[tuple[str, Any]]:
    """For a form: every code, or those named, with its word."""
    return [(str(code), words.get(str(code), str(code))) for code in (words if codes is None else codes)]


# --- step 1: the case ---------------------------------------------------------------------------

OFFICES: Words = {
    "office_holder": _("office-holder (administrator)"),
    "beneficiary_agent": _("beneficiary agent"),
    "case_officer": _("case officer"),
    "approver": _("approver"),
    "auditor": _("auditor"),
    "court_reader": _("reader for the court"),
}

POWERS: Words = {
    "cases.secure": _("tick the securing checklist and complete it"),
    "cases.convert": _("record that the case went to another proceeding"),
    "cases.policy": _("ask for more signatures than the profile does"),
    "appointments.grant": _("record appointments and end them"),
    "orders.register": _("register orders and what became of them"),
    "deadlines.set": _("compute deadlines and replace them"),
    "ledger.take_over": _("take over the ledger"),
    "custody.record": _("record holdings and reconcile"),
    "claims.schedule": _("make claims from the ledger, confirm or dispute them on paper"),
    "claims.decide": _("decide claims and place holds"),
    "destinations.verify": _("enter and verify destinations"),
    "distribution.plan": _("draft plans, compute runs, ask for their approval"),
    "returns.schedule": _("schedule a round of returns"),
    "returns.batch": _("draft, freeze and void batches"),
    "returns.export": _("export an approved batch and submit it"),
    "returns.evidence": _("receive evidence and match it"),
    "returns.stop": _("stop and resume sending"),
    "audit.pull": _("pull the record and the return log"),
}

PERMITS: Words = {  # what orders permit
    "destinations.verify_handover": _("rely on destinations from the exchange's files"),
    "cases.convert": _("take the case to another proceeding"),
    "cases.succeed": _("appoint a successor"),
    "returns.force_sale": _("sell coins of unreachable customers"),
    "returns.forfeit": _("give to others what nobody claims"),
    "returns.dispose_residue": _("give away what is left at the end"),
    "returns.move_book": _("move the customers' accounts to another exchange"),
}

DEPOSIT_PAPERS: Words = {  # papers that grounds of a deposit ask for
    "notices": _("the notices sent"),
    "returned_mail": _("mail that came back"),
    "tender_and_refusal": _("the tender and its refusal"),
    "who_may_be_the_creditor": _("who may be the creditor"),
    "attachment_orders": _("the attachment orders"),
}

STANDINGS: Words = {
    "in_force": _("served and in force"),
    "final": _("final and binding"),
    "stayed": _("stayed"),
    "reversed": _("reversed"),
    "": _("not served yet"),
}

DEADLINES: Words = {
    "filing": _("filing of claims"),
    "appeal": _("immediate appeal"),
    "late_filing": _("late filing of claims"),
    "assessment": _("petition for claim assessment"),
    "assessment_suit": _("suit against a claim assessment"),
    "exclusion": _("exclusion period of the dividend"),
    "exclusion_simplified": _("exclusion period of a simplified dividend"),
    "table_objection": _("objection to the dividend table"),
    "abolition_notice": _("notice before business is abolished"),
    "creditors_meeting": _("meeting of creditors"),
    "plan_submission": _("submission of the plan"),
    "court_report": _("report to the court"),
    "creditors_meeting_report": _("meeting of creditors that hears the report on the estate"),
}

EVENTS_COUNTED_FROM: Words = {
    "service": _("service"),
    "publication": _("publication in the gazette"),
    "order": _("the order"),
    "hindrance_ended": _("the end of the hindrance"),
    "investigation_ended": _("the end of the claims investigation"),
    "notice": _("the notice"),
}

# Why something ended, where an act says so itself.
ENDED = (gettext_noop("succession by order %(order)s"),)

# --- step 2: the ledger -------------------------------------------------------------------------

INTAKES: Words = {
    "received": _("received"),
    "inspecting": _("being inspected"),
    "inspected": _("inspected"),
    "accepting": _("being written"),
    "accepted": _("accepted"),
    "cancelled": _("given up"),
}
DELIVERIES: Words = {
    "arriving": _("files arriving"),
    "complete": _("complete"),
    "destroyed": _("destroyed"),
}
DIFFERENCES: Words = {
    "refuse": _("A control total that is off by one unit refuses the package"),
    "suspend": _("Keep the package; what nobody can explain goes into named suspense, signed by two"),
}
NEGATIVES: Words = {
    "exclude": _("An adjustment brings each negative balance to nothing"),
    "keep": _("They stay as they are, to be decided one by one"),
}
SEVERITIES: Words = {
    "refuse": _("refuses the package"),
    "quarantine": _("must be explained"),
    "warn": _("to look at"),
}
SOURCES: Words = {
    "exchange officer": _("officer of the exchange"),
    "regulator filing": _("filing with the regulator"),
    "custodian": _("custodian"),
    "auditor": _("auditor"),
    "none": _("nobody declared it"),
}
FINDINGS: Words = {
    "manifest": _("The manifest cannot be read"),
    "control_total_not_compared": _("A control total could not be compared"),
    "control_total_differs": _("The rows do not add up to the control total"),
    "control_total_off_by_one": _("The rows differ from the control total by one unit"),
    "control_count_differs": _("The number of balances is not the declared one"),
    "no_control_total": _("No control total is declared"),
    "negative_balance": _("Balances below zero"),
    "asset_scale": _("An asset has another number of decimal places in the case"),
    "other_cutoff": _("The package is of another cut-off than the case"),
    "row_count": _("The number of rows is not the declared one"),
    "unlisted_file": _("A file that the manifest does not list"),
    "missing_file": _("A listed file is missing"),
    "file_size": _("A file has another size than listed"),
    "file_hash": _("A file is not the one listed: its hash differs"),
    "blank_row": _("Blank rows"),
    "ragged_row": _("Rows with too many or too few columns"),
    "unreadable_row": _("Rows that cannot be read"),
    "not_utf8": _("Text that is not UTF-8"),
    "header": _("The header is not the agreed one"),
    "byte_order_mark": _("A byte order mark at the beginning"),
    "line_ending": _("Line endings that do not fit"),
    "my_number": _("What looks like a My Number, which must not be handed over"),
    "duplicate_customer": _("A customer is listed twice"),
    "duplicate_account": _("An account is listed twice"),
    "duplicate_balance": _("A balance is listed twice"),
    "duplicate_row": _("A row is listed twice"),
    "unknown_customer": _("An account of a customer who is not listed"),
    "unknown_account": _("A row of an account that is not listed"),
    "unknown_asset": _("An asset that is not in the manifest"),
    "unknown_value": _("A word that is not one of the agreed ones"),
    "too_many_decimals": _("Amounts with more decimal places than the asset"),
    "negative_holding": _("A holding below zero"),
    "evidence_missing": _("The paper behind a holding is missing"),
    "evidence_hash": _("The paper behind a holding is another one"),
    "proof_missing": _("Access without saying how it was shown"),
    "not_a_number": _("Amounts that are not plain numbers"),
    "full_width_digits": _("Amounts in full-width digits"),
    "exponent": _("Amounts with an exponent"),
    "bad_date": _("Dates that are none"),
    "bad_instant": _("Instants that are none"),
    "not_a_hash": _("A hash that is none"),
    "control_character": _("Control characters in a text"),
    "empty": _("A required entry is empty"),
    "too_long": _("An entry is too long"),
    # conversions of an exchange's own files
    "rows_left_out": _("Rows that the mapping leaves out"),
    "unmapped_file": _("A file that the mapping does not mention"),
    "unmapped_column": _("A column that the mapping does not mention"),
    "missing_column": _("A column of the mapping is missing"),
    "undecodable": _("A byte that has no meaning in the confirmed encoding"),
    "other_encoding": _("Another encoding was confirmed than the mapping says"),
    "era_does_not_fit": _("Dates that their era did not have"),
    "negative_not_declared": _("Negative amounts in a form that was not declared"),
    "inexact_number": _("Amounts that a spreadsheet keeps as binary fractions"),
    "inexact_column": _("A column of binary fractions"),
    "nested_column": _("A column without single values"),
    "too_wide": _("Codes with too many digits"),
    "cell_error": _("Cells that show an error"),
    "formula": _("Cells with formulas"),
    "endless_line": _("A line without an end"),
    "no_such_sheet": _("The sheet is not in the workbook"),
    "unreadable_file": _("A file that cannot be read"),
    "too_large": _("A workbook that is too large"),
    "not_plain": _("Numbers with invisible characters"),
    "parent_set_aside": _("Rows that hang on a row set aside"),
    # what is unlikely, and only remarked on
    "hidden_character": _("Characters that cannot be seen"),
    "unusual_form": _("Entries of an unusual form"),
    "future_date": _("Days after the cut-off"),
    "unlikely_date": _("Customers over 120 years old"),
    "corporate_number_digit": _("Corporate numbers with a wrong check digit"),
    "corporate_number_of_person": _("Persons with a corporate number"),
    "other_instant": _("Figures of another instant"),
    "shared_address": _("Addresses of several customers"),
    "shared_bank_account": _("Bank accounts of several customers"),
    "estate_address": _("Addresses of the exchange itself"),
    "zero_price": _("Prices of nothing"),
    "no_price": _("Assets without a price"),
    "respelled": _("Addresses with spaces around them"),
    "reference_not_compared": _("References that could not be compared"),
    # the books of entries
    "account_only_in_entries": _("Accounts that only the entries know"),
    "entry_after_cutoff": _("Entries after the cut-off"),
    "entry_near_cutoff": _("Entries of the last days before the cut-off"),
    "entries_not_compared": _("Balances that were not put together anew"),
    "balance_differs_from_entries": _("Balances that differ from their entries"),
    # destinations that no rail could pay: they stay as evidence
    "unknown_bank": _("Banks that we do not know"),
    "unknown_branch": _("Branches that we do not know"),
    "bad_checksum": _("Addresses with a wrong checksum"),
    "no_checksum": _("Addresses without a checksum"),
    "wrong_network": _("Addresses of another network"),
    "unknown_network": _("Networks that we do not know"),
    "no_address": _("What is no address"),
    "no_account": _("What is no bank account"),
    "reserved_address": _("Addresses that nobody can use"),
    "zero_address": _("The address of nobody"),
    "token_contract": _("The contract of a token instead of an address"),
    "no_tag": _("A destination tag is missing"),
    "two_tags": _("Two destination tags"),
    "holder_missing": _("The account holder is missing"),
    "holder_not_kana": _("The account holder is not in kana"),
    "number_form": _("Account numbers of another form"),
    "bank_form": _("Bank codes of another form"),
    "branch_form": _("Branch codes of another form"),
}
PRODUCTS: Words = {
    "spot": _("balance"),
    "pending_withdrawal": _("withdrawal not yet carried out"),
    "open_order": _("bound by an open order"),
    "margin": _("deposited as margin"),
    "staking": _("staked, still the customer's own"),
    "lending": _("lent to the exchange"),
}
RANKS: Words = {
    "customer": _("customer"),
    "insider": _("insider: an officer, a shareholder, or close to one"),
    "house": _("house account: the exchange's own"),
}
APPEALS: Words = {
    "": "–",
    "lodged": _("appeal lodged"),
    "upheld": _("appeal upheld"),
    "dismissed": _("appeal dismissed"),
    "withdrawn": _("appeal withdrawn"),
}
ENTRIES: Words = {
    "deposit": _("deposit"),
    "withdrawal": _("withdrawal"),
    "transfer": _("transfer between accounts"),
    "trade": _("trade"),
    "fee": _("fee"),
    "interest": _("interest"),
    "lending": _("lending"),
    "correction": _("correction by the exchange"),
}
CORRECTIONS: Words = {
    "error": _("error in the ledger"),
    "post_event": _("happened after the cut-off"),
    "court_order": _("order of a court"),
    "negative_balance_excluded": _("negative balance excluded"),
    "negative_cured": _("negative balance made good by the customer"),
    "negative_netted": _("negative balance netted against the same customer's"),
}

# --- step 3: what is held -----------------------------------------------------------------------

PLACES: Words = {"wallet": _("wallet"), "bank": _("bank account"), "trust": _("trust")}
TAGS: Words = {
    "segregated": _("the customers', kept apart"),
    "guarantee": _("performance-guarantee crypto-assets"),
    "own": _("the exchange's own"),
}
ACCESS: Words = {
    "proved": _("proved"),
    "partial": _("proved in part"),
    "unproved": _("not proved"),
    "lost": _("lost"),
    "contested": _("contested"),
}
MOVEMENTS: Words = {
    "receipt": _("receipt"),
    "recovery": _("recovery of what had been taken"),
    "fee": _("network or bank fee"),
    "cost": _("cost of the proceeding"),
    "sweep": _("between places of the case"),
}
TEMPERATURES: Words = {"": _("does not apply"), "hot": _("hot (connected)"), "cold": _("cold (not connected)")}

# --- step 4: claims -----------------------------------------------------------------------------

CLASSES: Words = {
    "trust_beneficiary": _("trust beneficiary (yen in trust)"),
    "priority_segregated": _("preferential payment (segregated coins)"),
    "lending_unsecured": _("lent coins, unsecured"),
    "general": _("general claim"),
    "own_insider": _("the exchange's own people"),
    "after_cutoff": _("received after the cut-off: returned in full"),
}
HOLDS: Words = {
    "attachment": _("attachment"),
    "dispute": _("dispute over whose claim it is"),
    "sanctions": _("sanctions list"),
    "deceased": _("the customer died"),
    "str": _("suspicious-transaction report (confidential)"),
    "police": _("request of the police (confidential)"),
    "order": _("sealed order (confidential)"),
}
REASONS: Words = {
    "scheduled": _("made from the ledger"),
    "as_recorded": _("as recorded: the ledger is right"),
    "as_claimed": _("as claimed"),
    "in_part": _("in part"),
    "deposit_found": _("the estate's papers show what the ledger left out"),
    "not_in_any_record": _("not in any record"),
    "no_evidence": _("no evidence"),
    "not_a_customer": _("not a customer"),
    "duplicate": _("claimed twice"),
    "error_of_the_exchange": _("error of the exchange"),
    "filed_in_time": _("filed in time"),
    "not_filed": _("not filed"),
    "ledger_corrected": _("the ledger was corrected"),
    "unclaimed": _("nobody claimed it, and a court gave it to the others"),
    "after_cutoff": _("received after the cut-off"),
}
RULES: Words = {
    "scheduled_stands_until_disputed": _("stands as recorded until it is disputed"),
    "scheduled_and_reserved_until_filed_and_decided": _("reserved until it is filed and decided"),
    "ledger_corrected_after_scheduling": _("the ledger was corrected after the claim was made"),
    "received_after_the_cutoff": _("returned in full, as the exchange booked it"),
}
HOW: Words = {"paper": _("on paper"), "portal": _("on the portal"), "": "–"}
CHANNELS: Words = {
    "post": _("post"),
    "portal": _("portal"),
    "gazette": _("public notice in the gazette"),
    "email": _("e-mail"),
}
NOTICES: Words = {
    "schedule": _("claims were made from the ledger"),
    "decision": _("a decision on a claim"),
    "deficiency": _("something is missing in a claim"),
    "payment": _("returns begin"),
    "general": _("general notice"),
    "reminder": _("a reminder to who has not answered"),
    "refund_request": _("a request to pay back"),
}
DESTINATIONS: Words = {
    "proposed": _("proposed"),
    "proved": _("proved"),
    "cooling": _("in the waiting time"),
    "usable": _("usable"),
    "revoked": _("out of use"),
}
ORIGINS: Words = {
    "handover": _("from the exchange's files"),
    "claimant": _("entered by the customer"),
    "paper": _("signed paper"),
    "court_order": _("order of a court"),
}

# --- step 5: plan and run -----------------------------------------------------------------------

RUNS: Words = {
    "computing": _("being computed"),
    "computed": _("computed, not approved"),
    "approved": _("approved, being declared"),
    "declared": _("approved and declared"),
    "withdrawn": _("withdrawn"),
}
ROUNDS: Words = {"interim": _("interim round"), "final": _("final round")}

# --- steps 6 to 8: rails, and where they go -------------------------------------------------------

RAILS: Words = {
    "rehearsal": _("Rehearsal rail"),
    "rehearsal-r2": _("Rehearsal rail (asked by our reference)"),
    "rehearsal-r3": _("Rehearsal rail (by file)"),
    "zengin": _("Bank transfer (Zengin file)"),
    "custodian": _("Custodian"),
    "transferee": _("Transfer to another exchange"),
    "": _("No rail"),
}
NETWORKS: Words = {
    "bank": _("bank account"),
    "book": _("account with the custodian"),
    "transferee": _("account with the other exchange"),
    "bitcoin": "Bitcoin",
    "dogecoin": "Dogecoin",
    "ethereum": "Ethereum",
    "litecoin": "Litecoin",
    "polkadot": "Polkadot",
    "solana": "Solana",
    "stellar": "Stellar",
    "xrpl": "XRP Ledger",
}
ACCOUNTS: Words = {"1": _("ordinary"), "2": _("current"), "4": _("savings"), "9": _("other")}  # kinds of bank account

# --- step 9: what an event of the record is about -------------------------------------------------

SUBJECTS: Words = {
    "adjustment": _("adjustment"),
    "aggregation": _("name aggregation"),
    "appointment": _("appointment"),
    "approvalrequest": _("approval"),
    "assetreturn": _("return"),
    "batch": _("batch"),
    "bookmove": _("move"),
    "case": _("case"),
    "claim": _("claim"),
    "conversion": _("conversion"),
    "correction": _("correction"),
    "courtorder": _("order"),
    "deadline": _("deadline"),
    "decision": _("decision"),
    "delivery": _("delivery"),
    "depositfiling": _("deposit with the Bureau"),
    "destination": _("destination"),
    "dispute": _("dispute"),
    "evidence": _("evidence"),
    "explanation": _("explanation"),
    "forcedsale": _("forced sale"),
    "forfeiture": _("forfeiture"),
    "hold": _("hold"),
    "holding": _("holding"),
    "intake": _("handover package"),
    "ledgermapping": _("mapping"),
    "movement": _("movement"),
    "notice": _("notice"),
    "overpayment": _("over-payment"),
    "paper": _("paper"),
    "person": _("person"),
    "plan": _("plan"),
    "policyoverride": _("number of signatures"),
    "pull": _("pull"),
    "rail": _("rail"),
    "raillimit": _("limit"),
    "railwindow": _("hours"),
    "reconciliation": _("reconciliation"),
    "recovery": _("recovery"),
    "residue": _("residue"),
    "round": _("round"),
    "run": _("run"),
    "sanctionslist": _("sanctions list"),
    "scopeappeal": _("appeal"),
    "scopedecision": _("scope"),
    "securingitem": _("securing checklist"),
    "stop": _("stop"),
    "submission": _("part"),
    "token": _("token"),
}
