"""
An invented exchange's handover package, as large as one likes: `sample_handover`, demos, tests and benchmarks.

    write(directory, accounts=2000, seed=1) → figures

No person, company, account or key in it is real; bank and branch codes are, and addresses are checksum-valid.
"""

from administration.office.sample.handover import write

__all__ = ["write"]
