"""What is remarked on in a package, and what its books of entries say, marked for translation (administration.wording)."""

from django.utils.translation import gettext_noop as _

SENTENCES = (
    # remarks
    _("%(day)s is after the cut-off."),
    _("Find the right day; this one stays until somebody corrects it."),
    _("Born on %(day)s, the customer would be over %(years)s years old."),
    _("Nothing to do here: the customer will be asked."),
    _("The check digit of %(number)s is wrong."),
    _("Look the company up in the register."),
    _("A person cannot have the corporate number %(number)s."),
    _("Find out who the customer is."),
    _("This stood at %(instant)s (Japan), not at the cut-off."),
    _("See what moved in between."),
    _("It stands at %(count)s accounts, of more than one customer."),
    _("This is an address of the exchange itself (%(place)s)."),
    _("Nothing is sent there. The customer will be asked."),
    _("A whole %(asset)s is priced at nothing."),
    _("See whether that is meant."),
    _("There is no price of %(asset)s, which customers hold."),
    _("Ask for it: what is paid in money needs a price."),
    _("The address has spaces around it. It was not taken as it is."),
    _("%(count)s rows name what no readable row of %(file)s has; rows of it cannot be read."),
    # entries
    _("No account %(account)s is listed, and it has entries."),
    _("Search for the customer: somebody may be missing from the list."),
    _("Booked at %(instant)s (Japan), after the cut-off: it is in no balance."),
    _("Nothing to do here: what came in is kept apart, to be returned in full."),
    _("%(count)s entries are of the last %(days)s days before the cut-off."),
    _("They are listed for whoever audits these days."),
    _("Rows of the entries or balances cannot be read, so balances were not put together anew."),
    _("%(what)s: the entries add up to %(entries)s, the balances to %(balances)s."),
    _("Find the entry that is missing or too much. The balance stands until a correction is signed."),
)
