"""Who counts as unreachable: every sign of life starts the clock anew."""

import datetime
import hashlib

import pytest
from django.db import connection, transaction

from administration.cases.models import Case
from administration.fields import db_now
from administration.returns import reaching
from administration.returns.depositing import NotDeposited, Paper
from claims.portal import entering
from tests.returns.test_tail import claims_of, proposed, silence
from tests.returns.world import tampering

TOKEN = "a session of the portal"
PAPERS = [Paper("notices", "n", b"n"), Paper("returned_mail", "m", b"m")]


@pytest.fixture
def silent(world):
    """One claim whose customer was reminded three times long ago, and did not answer."""
    claim = claims_of(world)[0]
    silence(world, [claim])
    [clock] = reaching.clocks(world.case, at=db_now())
    assert clock.unreachable
    return claim


def in_the_portal(claim, act):
    """The act in a session of the customer's, by the portal's own role."""
    with tampering() as cursor:
        cursor.execute(
            "INSERT INTO portal_session (token_sha256, claimant_id, claim_id, opened_at, seen_at, expires_at, fresh_until)"
            " VALUES (%s, %s, %s, now(), now(), now() + interval '1 hour', now() + interval '5 minutes')",
            [hashlib.sha256(TOKEN.encode()).digest(), claim.claimant_id, claim.pk],
        )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (before,) = cursor.fetchone()
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL ROLE henkan_portal")
        said = act()
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute(f"SET LOCAL ROLE {before}")
    return said


def gives(claim):
    return entering.give_destination(TOKEN, claim.number, "JPY", network="bank", details={"to": "my account"})


def test_a_customer_who_gives_a_destination_is_no_longer_unreachable(world, silent):
    assert in_the_portal(silent, lambda: gives(silent)) == "given"
    assert reaching.clocks(world.case, at=db_now() + datetime.timedelta(days=400)) == []
    with pytest.raises(NotDeposited, match="does not count as unreachable"):
        proposed(world, [silent], ground="unreachable", papers=PAPERS)


def test_once_what_a_customer_gave_is_refused_the_clock_begins_anew(world, silent):
    in_the_portal(silent, lambda: gives(silent))
    with tampering() as cursor:
        cursor.execute("UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'x' WHERE claim_id = %s", [silent.pk])
    [clock] = reaching.clocks(world.case, at=db_now())
    assert (clock.reminded, clock.unreachable) == (0, False)


def test_a_keyed_paper_is_a_sign_of_life(world, silent):
    with tampering() as cursor:
        cursor.execute(
            "INSERT INTO destinations_destination (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state,"
            " keyed_by_id, proposed_at, revoke_reason, recorded_at) SELECT case_id, claim_id, asset_id, 9, network, details, fingerprint,"
            " 'paper', 'proposed', %s, now(), '', now() FROM destinations_destination WHERE claim_id = %s LIMIT 1",
            [world.goto.pk, silent.pk],
        )
    assert reaching.clocks(world.case, at=db_now()) == []


def test_a_dispute_is_a_sign_of_life(world, silent):
    line = silent.lines.get(asset__code="JPY")
    with tampering() as cursor:
        cursor.execute(
            "INSERT INTO register_dispute (claim_line_id, claimed, ground, how, at) VALUES (%s, 2000, 'more', 'portal', now())", [line.pk]
        )
    [clock] = reaching.clocks(world.case, at=db_now())
    assert (clock.reminded, clock.unreachable) == (0, False)


def test_who_reminds_holds_the_case_before_looking_who_is_due(world, silent, monkeypatch):
    """Two at once would each find the same reminder due, and send two for one."""
    del silent
    seen = []
    look = reaching.clocks

    def looked(*args, **said):
        seen.append("clocks")
        return look(*args, **said)

    def locked(self, **said):
        seen.append(f"lock {self.model.__name__}")
        return lock(self, **said)

    lock = type(Case.objects.all()).select_for_update
    monkeypatch.setattr(reaching, "clocks", looked)
    monkeypatch.setattr(type(Case.objects.all()), "select_for_update", locked)
    with pytest.raises(reaching.NotReminded):
        reaching.remind(world.case, channel="post", by=world.goto, at=db_now())
    assert seen[:2] == ["lock Case", "clocks"]
