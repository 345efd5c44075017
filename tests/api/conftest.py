"""An estate with returns, and the token of an auditor's program."""

import datetime
import json

import pytest
from django.test import Client

from administration.audit import tokens
from administration.cases.models import Appointment
from administration.fields import db_now
from administration.people.models import User
from tests.cast import LONG_AGO, sha
from tests.returns.world import build

A_DAY = datetime.timedelta(days=1)


class Bearer:
    """What an auditor's program does: ask with its token, read JSON."""

    def __init__(self, secret: str) -> None:
        self.secret, self.client = secret, Client()

    def get(self, address: str, **query):
        headers = {"Authorization": f"Bearer {self.secret}"} | query.pop("headers", {})
        if not address.startswith("http"):
            address = "/api/v1/" + address
        return self.client.get(address, {key.rstrip("_"): value for key, value in query.items()}, headers=headers)

    def json(self, address: str, **query):
        response = self.get(address, **query)
        assert response.status_code == 200, response.content
        return response.json()

    def post(self, address: str, body, **headers):
        given = {"Authorization": f"Bearer {self.secret}"} | {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.post("/api/v1/" + address, json.dumps(body), content_type="application/json", headers=given)


@pytest.fixture
def estate(committed, as_superuser, settings, tmp_path):
    """Twelve returns of four claims; a batch of six is frozen."""
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    world = build(as_superuser, claims_count=4)
    world.frozen(limit=6)
    return world


def a_token(world, user="chiba", **more):
    appointment = Appointment.objects.get(case=world.case, user__username=user)
    given = {"purpose": "annual audit", "expires_at": db_now() + A_DAY} | more
    token = tokens.issue(world.case, appointment=appointment, by=world.people.aoki, at=db_now(), **given)
    return token, tokens.collect(token, by=appointment.user, at=db_now())


def appoint(world, name, kind):
    user = User.objects.get_or_create(username=name, is_staff=True)[0]
    return Appointment.objects.create(
        case=world.case, user=user, kind=kind, authority="court", instrument="order", instrument_sha256=sha("order"),
        from_at=LONG_AGO, granted_by=world.people.aoki, powers=[],
    )  # fmt: skip


@pytest.fixture
def bearer(estate):
    return Bearer(a_token(estate)[1])
