"""Raw SQL as henkan_portal: no table, no other customer's rows, no confidential hold, whatever it sets."""

import json

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from claims.portal import entering, sending
from claims.portal.models import Message
from claims.register import holds
from claims.register.models import Claim
from tests.cast import NOON, sha
from tests.portal.conftest import claim, letter, signed_in
from tests.returns.world import tampering

READ = "SELECT portal_claim(%s, %s)::text"
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p') ORDER BY 1"
MINE = {
    "portal_claimant", "portal_ask", "portal_answer", "portal_leave", "portal_ask_fresh", "portal_answer_fresh",
    "portal_cases", "portal_case", "portal_claim", "portal_confirm", "portal_dispute", "portal_proposal", "portal_stop_destination",
    "portal_may_give_destination", "destination_fingerprint", "frame",
}  # fmt: skip


def read(cursor, token, number=""):
    cursor.execute(READ, [token, number])
    (said,) = cursor.fetchone()
    return said and json.loads(said)


def test_the_role_may_read_change_or_empty_no_table_at_all(estate, as_role):
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        tables = [name for (name,) in cursor.fetchall()]
    assert len(tables) > 60

    with as_role("henkan_portal") as cursor:
        for table in tables:
            for right in ("SELECT", "UPDATE", "DELETE", "TRUNCATE", "INSERT", "REFERENCES", "TRIGGER"):
                cursor.execute("SELECT has_table_privilege(%s, %s)", [f"public.{table}", right])
                assert cursor.fetchone() == (False,), (table, right)
            cursor.execute("SELECT has_any_column_privilege(%s, 'SELECT, UPDATE')", [f"public.{table}"])
            assert cursor.fetchone() == (False,), table


def test_the_role_may_call_the_portals_functions_and_no_others(estate, as_role):
    with as_role("henkan_portal") as cursor:
        cursor.execute("""SELECT DISTINCT proname FROM pg_proc
                          WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE')""")
        assert {name for (name,) in cursor.fetchall()} == MINE


def test_the_offices_role_may_call_none_of_those_that_speak_for_a_claimant(estate, as_role):
    speaking = MINE - {"portal_cases", "portal_case", "destination_fingerprint", "frame"}
    with as_role("henkan_app") as cursor:
        cursor.execute("""SELECT DISTINCT proname FROM pg_proc
                          WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE')""")
        assert not {name for (name,) in cursor.fetchall()} & speaking


def test_every_function_of_the_role_keeps_to_its_search_path(estate):
    with connection.cursor() as cursor:
        cursor.execute("""SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
                          AND proname LIKE 'portal%' AND NOT 'search_path=pg_catalog, public, pg_temp' = ANY (proconfig)""")
        assert cursor.fetchall() == []


def test_no_token_no_rows_whatever_is_set(estate, as_role):
    mine = claim(1)
    token = signed_in(mine)
    with as_role("henkan_portal") as cursor:
        for setting in ("henkan.claimant", "henkan.claim", "henkan.user", "henkan.token"):
            cursor.execute("SELECT set_config(%s, %s, true)", [setting, str(mine.claimant_id)])
        for wrong in ("", None, "x", str(mine.claimant_id), token + "x", entering.token_hash(token).hex()):
            assert read(cursor, wrong, mine.number) is None
        cursor.execute("SELECT portal_claimant()")
        assert cursor.fetchone() == (None,)
        assert read(cursor, token, mine.number)["claim"]["number"] == mine.number


def test_another_customers_claim_is_not_there(estate, as_role):
    first, others = claim(1), [claim(2), claim(1, "T-2")]
    numbers = [claim(n).number for n in range(2, 24)]
    token = signed_in(first)
    with as_role("henkan_portal") as cursor:
        for other in others:
            said = read(cursor, token, other.number)
            assert "claim" not in said and other.number not in json.dumps(said)
        mine = json.dumps(read(cursor, token, first.number))
    assert not [number for number in numbers if number in mine]


@pytest.mark.parametrize("kind", ["str", "police", "order"])
def test_a_confidential_hold_cannot_be_told_from_a_sanctions_review(estate, as_role, kind, rehearsal):
    estate.scheduled()
    secret, review = claim(3), claim(4)
    look = NOON.date().replace(year=2030)
    holds.place(secret, kind, reason="the police asked", next_look=look, by=estate.goto, at=NOON)
    holds.place(review, "sanctions", reason="a name on a list", next_look=look, by=estate.goto, at=NOON)
    said = {}
    for one in (secret, review):
        token = signed_in(one)
        with as_role("henkan_portal") as cursor:
            said[one.pk] = read(cursor, token, one.number)

    text = json.dumps(said[secret.pk])
    assert kind not in {row["gate"] for line in said[secret.pk]["lines"] for row in line["returns"]}
    for word in ("police", "the police asked", "confidential", '"str"', '"hold"', "suspicious"):
        assert word not in text
    gates = {key: [(r["gate"], r["gate_date"]) for line in facts["lines"] for r in line["returns"]] for key, facts in said.items()}
    assert gates[secret.pk] == gates[review.pk] == [("review", "2030-11-02")] * 3


def test_an_idle_an_expired_and_an_ended_session_are_nobodys(estate, as_role):
    mine = claim(1)
    ended, idle, over = signed_in(mine), signed_in(mine, idle=31), signed_in(mine, left=-1)
    with as_role("henkan_portal") as cursor:
        cursor.execute("SELECT portal_leave(%s)", [ended])
        for token in (idle, over, ended):
            assert read(cursor, token, mine.number) is None
            cursor.execute("SELECT portal_confirm(%s, %s)", [token, mine.number])
            assert cursor.fetchone() == ("nobody",)
    assert Claim.objects.get(pk=mine.pk).confirmed_at is None


def test_nobody_confirms_or_disputes_for_another(estate, as_role):
    token, other = signed_in(claim(1)), claim(2)
    with as_role("henkan_portal") as cursor:
        cursor.execute("SELECT portal_confirm(%s, %s)", [token, other.number])
        assert cursor.fetchone() == ("unknown",)
        cursor.execute("SELECT portal_dispute(%s, %s, 'JPY', 'trust_beneficiary', 5000, 'mine')", [token, other.number])
        assert cursor.fetchone() == ("unknown",)
    assert Claim.objects.filter(confirmed_at__isnull=False).count() == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE register_claim SET confirmed_at = now(), confirmed_how = 'portal' WHERE id = %s",
        "INSERT INTO register_dispute (claim_line_id, claimed, ground, how, at)"
        " SELECT id, 5000, 'mine', 'portal', now() FROM register_claimline WHERE claim_id = %s LIMIT 1",
    ],
)
def test_no_clerk_speaks_as_a_customers_session(estate, as_role, sql):
    of = claim(1).pk
    with pytest.raises(ProgrammingError, match="portal_words_are_the_claimants_own"), as_role("henkan_app") as cursor:
        cursor.execute(sql, [of])


def test_the_office_opens_no_session_and_reads_no_codes_hash(estate, as_role):
    for sql in (
        "INSERT INTO portal_session (token_sha256, claimant_id, claim_id, expires_at) SELECT sha256('x'), claimant_id, id, now() FROM register_claim",
        "SELECT token_sha256 FROM portal_session",
        "SELECT code_mac FROM portal_message",
        "UPDATE portal_message SET claim_id = 1",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_app") as cursor:
            cursor.execute(sql)
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_reader") as cursor:
        cursor.execute("SELECT * FROM portal_claimcode")


def test_a_claim_code_is_kept_as_its_hash_alone(estate):
    code = entering.normal(letter(claim(1), estate))

    assert len(code) == 16
    with connection.cursor() as cursor:
        cursor.execute("SELECT portal_claimcode::text FROM portal_claimcode")
        kept = " ".join(row for (row,) in cursor.fetchall())
        cursor.execute("SELECT claim_id FROM portal_claimcode WHERE code_sha256 = %s AND ended_at IS NULL", [entering.code_hash(code)])
        assert cursor.fetchone() == (claim(1).pk,)
    assert code not in kept


def test_a_code_changes_nothing_but_its_end_and_that_once(estate, as_owner):
    letter(claim(1), estate)
    for sql in (
        "UPDATE portal_claimcode SET claim_id = claim_id + 1",
        "UPDATE portal_claimcode SET code_sha256 = sha256('x')",
        "UPDATE portal_session SET claimant_id = claimant_id + 1",
        "DELETE FROM portal_claimcode",
    ):
        signed_in(claim(2))
        with pytest.raises(IntegrityError, match=r"portal_rows_keep_what_they_say|append only"), as_owner() as cursor:
            cursor.execute(sql)


INSERT = """
INSERT INTO destinations_destination
    (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, proposed_at, revoke_reason)
VALUES (%s, %s, %s, 9, 'bitcoin', %s, destination_fingerprint('bitcoin', %s), %s, 'proposed', now(), '')
"""
DETAILS = '{"address": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "memo": "", "network": "bitcoin"}'


def give(cursor, world, to, *, token, origin="claimant"):
    cursor.execute("SELECT set_config('henkan.token', %s, true)", [token])
    cursor.execute(INSERT, [to.case_id, to.pk, world.assets["BTC"].pk, DETAILS, DETAILS, origin])


@pytest.mark.parametrize(
    ("whose", "fresh", "origin"), [(1, False, "claimant"), (2, True, "claimant"), (1, True, "paper"), (1, True, "court_order")]
)
def test_the_role_writes_a_destination_only_to_an_own_claim_and_after_a_fresh_code(estate, as_role, whose, fresh, origin):
    token, to = signed_in(claim(1), fresh=fresh), claim(whose)
    with pytest.raises(ProgrammingError, match="row-level security"), as_role("henkan_portal") as cursor:
        give(cursor, estate, to, token=token, origin=origin)


def test_with_both_it_does_and_the_claimant_is_told(estate, as_role):
    of = claim(1)
    token = signed_in(of, fresh=True)
    with as_role("henkan_portal") as cursor:
        give(cursor, estate, of, token=token)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM portal_message WHERE kind = 'destination' AND claim_id = %s", [of.pk])
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT body FROM record_event WHERE kind = 'destination.proposed' ORDER BY number DESC LIMIT 1")
        assert json.loads(cursor.fetchone()[0])["origin"] == "claimant"


# --- warnings -----------------------------------------------------------------------------------------


def warned(*claims, minutes_ago=6):
    """A warning to each of these claimants, taken so long ago by a process that then died (or never, with None)."""
    with tampering() as cursor:
        cursor.execute("DELETE FROM portal_message")
        for one in claims:
            cursor.execute(
                """INSERT INTO portal_message (kind, claim_id, channel, language, asset, tries, queued_at, taken_at, expires_at, problem)
                   VALUES ('destination', %s, 'email', 'ja', 'BTC', 0, now() - interval '1 hour', now() - make_interval(mins => %s),
                           now() + interval '7 days', '')""",
                [one.pk, minutes_ago],
            )


def notes():
    return [(problem, sent is None) for problem, sent in Message.objects.order_by("pk").values_list("problem", "sent_at")]


def test_a_warning_that_was_taken_and_never_sent_is_sent_by_the_next(estate):
    warned(claim(1))
    assert (sending.send_waiting(), sending.send_waiting(), notes()) == (1, 0, [("", False)])


def test_a_code_that_was_taken_and_never_sent_stays_taken(estate):
    warned(claim(1))
    with tampering() as cursor:
        cursor.execute("UPDATE portal_message SET kind = 'act'")
    assert sending.send_waiting() == 0


def test_while_it_may_be_on_its_way_a_warning_is_not_sent_twice(estate):
    warned(claim(1), minutes_ago=4)
    assert sending.send_waiting() == 0


def test_one_address_that_is_none_holds_up_no_other_and_stands_before_the_office(estate):
    with tampering() as cursor:
        cursor.execute("UPDATE ledger_identity SET email = 'たろう@例..jp' WHERE id = %s", [claim(1).claimant.identity_id])
    warned(claim(1), claim(2), minutes_ago=None)
    assert sending.send_waiting() == 1
    assert [unsent for _problem, unsent in notes()] == [True, False]
    assert [(one["number"], one["problem"]) for one in sending.unsent(estate.case)] == [(claim(1).number, sending.NOT_AN_ADDRESS)]
    assert sending.unsent(claim(1, "T-2").case) == []


def test_a_mail_server_that_was_down_for_a_minute_costs_no_warning(estate, monkeypatch):
    warned(claim(1), minutes_ago=None)
    with monkeypatch.context() as down:
        down.setattr(sending, "_mail", lambda *_said: (_ for _ in ()).throw(ConnectionRefusedError()))
        assert sending.send_waiting() == 0
    assert notes() == [("ConnectionRefusedError", True)]
    with tampering() as cursor:
        cursor.execute("UPDATE portal_message SET taken_at = now() - interval '6 minutes'")
    assert (sending.send_waiting(), notes(), sending.unsent(estate.case)) == (1, [("", False)], [])


def test_the_hash_of_a_guess_is_not_what_a_code_is_kept_as():
    assert entering.code_mac(sha("ask"), "12345678") != sha("12345678")
    assert entering.code_mac(sha("ask"), "12345678") == entering.code_mac(sha("ask"), "１２３４ ５６７８")
