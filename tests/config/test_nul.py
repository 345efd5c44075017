"""A text with a NUL, which no column holds, is asked for in vain: in no process does it end in an error of ours."""

import pytest
from django.conf import settings

ASKED = ("/admin/case/%00/", "/admin/?q=a%00b", "/api/v1/returns/%00/", "/api/v1/return-events/?case=%00", "/accounts/login/?next=%00")


@pytest.mark.parametrize("address", ASKED)
def test_what_is_asked_for_with_a_nul_is_not_there(client, db, address):
    assert client.get(address).status_code == 404


def test_a_session_with_a_nul_is_nobodys(client, db):
    client.cookies[settings.SESSION_COOKIE_NAME] = "0123456789\0abcdef"
    assert client.get("/admin/").status_code == 302
