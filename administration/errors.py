"""
The one base of all refusals.

    Refused
    ├── NotEmpowered, SamePerson, StaleContent …   administration.cases
    ├── PackageRefused, NotInspected …             administration.ledger
    ├── DoesNotTie …                               claims.register
    └── NotADraft, GatesClosed, Stopped …          administration.returns

An act that will not do what it was asked raises one of these. Its message is a sentence for a person:
what was refused, why, and what to do next. Faces show it: a red message in the admin, problem+json 409
in the API, one line and exit code 1 in a command.
"""


class Refused(Exception):
    """An act was refused; nothing was changed."""
