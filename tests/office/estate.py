"""An estate up to step 5 behind the pages of returns: made once, each test's changes rolled back."""

import pytest
from django.db import connections

from administration.office import tallies
from administration.rails.interface import Accepted, Unknown
from administration.returns import routes, sending
from tests.office.test_pages import signed_in
from tests.returns.world import build, found


@pytest.fixture(scope="module")
def _estate(server, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        before = connections["default"].settings_dict["NAME"]
        name = server.clone()
        server.point_at(name)
        build()
        server.leave()
    yield
    with django_db_blocker.unblock():
        server.drop(name)
        server.point_at(before)


@pytest.fixture
def estate(_estate, db):
    tallies.forget()
    return found()


class Desk:
    """A person of the office at their pages."""

    def __init__(self, world, user):
        self.world, self.user, self.client = world, user, signed_in(user)

    def at(self, path):
        return f"/admin/case/{self.world.case.reference}/{path}"

    def see(self, path, **asked):
        return self.client.get(self.at(path), asked)

    def look(self, path, **entered):
        return self.client.post(self.at(path), {"stage": "look", **entered})

    def do(self, path, **entered):
        """Look at the effect, then press its button."""
        shown = self.look(path, **entered) if entered else self.see(path)
        assert shown.status_code == 200, shown.content.decode()[-3000:]
        files = {f"kept-{name}": kept.token for name, kept in shown.context["kept"].items()}
        plain = {name: value for name, value in entered.items() if not hasattr(value, "read")}
        return self.client.post(self.at(path), {"stage": "do", "shown": shown.context["shown"], **plain, **files})


def sent(batch, outcome=None):
    """The one part of an exported batch, claimed and answered for, without calling any rail."""
    rail = routes.rail(batch.rail)
    claim = sending.take(batch, rail)
    if outcome is not None:
        sending.record(batch, claim, outcome, rail)
    return batch.submissions.get()


ACCEPTED, NO_ANSWER = Accepted("x-1"), Unknown("no answer within 5 s")


@pytest.fixture
def goto_at(estate):
    return Desk(estate, estate.people.goto)


@pytest.fixture
def aoki_at(estate):
    return Desk(estate, estate.people.aoki)
