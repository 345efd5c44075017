"""An estate of four claims and twelve returns to come."""

import pytest
from django.db import connections

from tests.returns.world import build, found


@pytest.fixture(scope="module")
def _built(server, django_db_setup, django_db_blocker):
    """The estate, built once in a database of this room; each test's changes are rolled back."""
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
def world(_built, db):
    return found()
