"""An estate of four claims and twelve returns to come."""

import pytest

from tests.returns.world import build


@pytest.fixture
def world(db, as_superuser):
    return build(as_superuser)
