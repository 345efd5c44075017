"""
Coming in and going out: every question goes to a function of the database, which alone knows whose token it is.

What is kept of a secret is its hash: of the browser's tokens SHA-256, of a sent code a keyed hash whose key is not in
the database. Nothing here tells a claim that exists from one that does not.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import orjson
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.utils.crypto import salted_hmac

CODE_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 16
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


class Asked(NamedTuple):
    """What came of asking for a code, and the token by which this browser will answer."""

    outcome: str  # asked, wait, nobody
    token: str


def normal(code: str) -> str:
    """A claim code as it was printed, however it was typed: any width and case, with or without dashes."""
    typed = unicodedata.normalize("NFKC", code).upper()
    return "".join(sign for sign in typed if sign.isalnum()).translate(MISREAD)


def code_hash(code: str) -> bytes:
    return hashlib.sha256(f"henkan-claim-code/1:{normal(code)}".encode()).digest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def code_mac(ask_sha256: bytes, code: str) -> bytes:
    """What is kept of a code that was sent: nobody who reads the database alone can try all codes against it."""
    return salted_hmac("henkan.portal.code", f"{ask_sha256.hex()}:{digits(code)}", algorithm="sha256").digest()


def digits(code: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKC", code) if sign in "0123456789")


def address_hash(address: str) -> bytes:
    return salted_hmac("henkan.portal.address", address, algorithm="sha256").digest()


# --- as henkan_portal -------------------------------------------------------------------------


def ask(code: str, born: date, *, channel: str, language: str, address: str) -> Asked:
    """Have a code sent to the claimant of this claim code, if there is one who was born or founded on that day."""
    token = new_token()
    outcome = _one(
        "SELECT portal_ask(%s, %s, %s, %s, %s, %s)",
        [code_hash(code), born, channel, language, address_hash(address), token_hash(token)],
    )
    return Asked(str(outcome), token)


def answer(ask_token: str, code: str) -> tuple[str, str]:
    """Come in with the code that was sent: the outcome (in, wrong, over) and the session's token."""
    token = new_token()
    found = token_hash(ask_token)
    said = orjson.loads(_one("SELECT portal_answer(%s, %s, %s)", [found, code_mac(found, code), token_hash(token)]))
    return said["outcome"], token


def ask_fresh(session: str, *, language: str) -> Asked:
    token = new_token()
    outcome = _one("SELECT portal_ask_fresh(%s, 'email', %s, %s)", [session, language, token_hash(token)])
    return Asked(str(outcome), token)


def answer_fresh(session: str, ask_token: str, code: str) -> str:
    found = token_hash(ask_token)
    return str(_one("SELECT portal_answer_fresh(%s, %s, %s)", [session, found, code_mac(found, code)]))


def leave(session: str) -> None:
    _one("SELECT portal_leave(%s)", [session])


def claim(session: str, number: str = "") -> dict[str, Any] | None:
    """Everything the pages of one claim show, in one statement; None: nobody is signed in with this token."""
    said = _read("SELECT portal_claim(%s, %s)::text", [session, number])
    return None if said is None else dict(orjson.loads(said))


def cases() -> list[dict[str, str]]:
    return list(orjson.loads(_read("SELECT portal_cases()", [])))


def case(reference: str) -> dict[str, Any] | None:
    said = _read("SELECT portal_case(%s)", [reference])
    return None if said is None else dict(orjson.loads(said))


def confirm(session: str, number: str) -> str:
    return str(_one("SELECT portal_confirm(%s, %s)", [session, number]))


def dispute(session: str, number: str, asset: str, claim_class: str, *, claimed: int, ground: str) -> str:
    return str(
        _one("SELECT portal_dispute(%s, %s, %s, %s, %s, %s)", [session, number, asset, claim_class, claimed, ground])
    )


def stop_destination(session: str, number: str, asset: str) -> str:
    return str(_one("SELECT portal_stop_destination(%s, %s, %s)", [session, number, asset]))


# The trigger on this table wants to see the portal's own role write, and row-level security whose token it is.
KNOWN_AS = "SELECT set_config('henkan.token', %s, true)"
PROPOSAL = "SELECT portal_proposal(%s, %s, %s, %s, jsonb_object(%s::text[], %s::text[]))"
GIVE = """
INSERT INTO destinations_destination
    (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, proposed_at, revoke_reason)
SELECT %s, %s, %s, %s, %s, d.details, destination_fingerprint(%s, d.details), 'claimant', 'proposed', clock_timestamp(), ''
FROM (SELECT jsonb_object(%s::text[], %s::text[]) AS details) d
"""


def give_destination(session: str, number: str, asset: str, *, network: str, details: Mapping[str, str]) -> str:
    """Propose where returns of one asset go: given, before (the same stands already), or refused (no fresh code)."""
    names, values = list(details), list(details.values())
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(KNOWN_AS, [session])
            cursor.execute(PROPOSAL, [session, number, asset, network, names, values])
            (said,) = cursor.fetchone() or (None,)
            if said is None:
                return "refused"
            found = orjson.loads(said)
            if found["same"]:
                return "before"
            cursor.execute(
                GIVE, [found["case"], found["claim"], found["asset"], found["version"], network, network, names, values]
            )
    except IntegrityError:  # somebody gave another at the same moment
        return "before"
    except ProgrammingError as refusal:
        if "row-level security" not in str(refusal):
            raise
        return "refused"
    return "given"


def _read(sql: str, params: list[Any]) -> Any:
    """Read, on a connection that may have been lost since the last page: no question is spent on asking it first."""
    try:
        return _one(sql, params)
    except OperationalError:
        if connection.in_atomic_block:
            raise
        connection.close()
        return _one(sql, params)


def _one(sql: str, params: list[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        (value,) = cursor.fetchone()
    return value
