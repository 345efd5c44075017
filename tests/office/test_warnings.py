"""What could not be said to a customer stands before the office: that somebody gave a new place for their returns."""

from django.urls import reverse

from claims.portal import sending
from claims.register.models import Claim
from tests.office.estate import _estate, estate, goto_at  # noqa: F401
from tests.returns.world import tampering

FAILED = """
INSERT INTO portal_message (kind, claim_id, channel, language, asset, tries, queued_at, taken_at, expires_at, problem)
VALUES ('destination', %s, 'email', 'ja', 'BTC', 0, now() - interval '1 minute', now(), now() + interval '7 days', %s)
"""


def test_a_warning_that_failed_stands_where_destinations_are_checked_and_in_my_work(goto_at):  # noqa: F811
    one = Claim.objects.filter(case=goto_at.world.case).order_by("number")[0]
    title = "Warnings that did not reach the customer"
    assert title not in goto_at.see("destinations/").content.decode()
    with tampering() as cursor:
        cursor.execute(FAILED, [one.pk, sending.NOT_AN_ADDRESS])

    page = goto_at.see("destinations/").content.decode()
    assert title in page and one.number in page and "e-mail address is not one" in page
    work = goto_at.client.get(reverse("admin:index")).content.decode()
    assert "1 warning about a new destination did not reach its customer" in work
