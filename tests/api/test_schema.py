"""The description of the API is complete, and its page needs no script of anybody else."""

import re

import yaml
from django.core.management import call_command
from django.test import Client


def test_the_schema_is_valid_and_without_warnings(tmp_path):
    out = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--urlconf", "config.urls", "--file", str(out))
    schema = yaml.safe_load(out.read_text())
    assert schema["openapi"].startswith("3.")
    addresses = {path.removeprefix("/api/v1/") for path in schema["paths"] if path.startswith("/api/v1/")}
    assert {"return-events", "returns", "approvals", "heads", "pulls", "returns.{form}", "return-events.{form}"} <= addresses
    for path, methods in schema["paths"].items():
        if path.startswith("/api/v1/"):
            assert set(methods) <= {"get", "post"}, path
            assert all(method["security"] == [{"token": []}] for method in methods.values()), path
    assert schema["components"]["schemas"]["Return"]["properties"]["amount"]["type"] == "string"


def test_the_page_of_the_schema_keeps_the_content_security_policy(db):
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    text = page.content.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>", text), "a script in the page itself"
    for address in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert address.startswith("/"), address
    script = Client().get("/api/docs/?script")
    assert script["Content-Type"].startswith("application/javascript")
    assert "script-src 'self'" in page["Content-Security-Policy"]


def test_the_schema_is_served_to_everybody_and_names_nobody(db):
    response = Client().get("/api/schema/")
    assert response.status_code == 200
    assert b"/api/v1/return-events" in response.content
