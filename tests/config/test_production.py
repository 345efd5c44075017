"""On real servers nothing is left open: Django's own check for deployment finds nothing to say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PRODUCTION = {
    "DATABASE_URL": "postgresql://henkan@127.0.0.1:9/henkan",
    "REDIS_URL": "redis://127.0.0.1:9",
    "HENKAN_SECRET_KEY": "kJ8vQ2mX7pL4nR9wT3yZ6bC1dF5gH0sA-aZxYcVbNmQwErTyUiOp",
    "HENKAN_HOSTS": "office.example.jp",
    "HEAD_KEY_FILE": "/etc/henkan/head.pem",
    "HEAD_LOG_FILE": "/mnt/worm/heads.log",
    "ARCHIVE_DIR": "/srv/henkan/archive",
}
ASK = """
import json, django
from django.conf import settings
django.setup()
print(json.dumps({name: getattr(settings, name) for name in %r}))
"""


def run(*arguments, **more):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HENKAN_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False,
        env={**inherited, **PRODUCTION, "NO_BOOTSTRAP": "1", "DJANGO_SETTINGS_MODULE": "config.settings", **more},
    )  # fmt: skip


@pytest.mark.parametrize("role", ["henkan_app", "henkan_portal"])
def test_the_check_for_deployment_finds_nothing(role):
    checked = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", HENKAN_ROLE=role)

    assert checked.returncode == 0, checked.stderr
    assert "no issues (0 silenced)" in checked.stdout + checked.stderr


def test_cookies_go_by_https_only_and_no_script_reads_them():
    import json

    names = [
        "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "LANGUAGE_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY",
        "CSRF_COOKIE_HTTPONLY", "SECURE_SSL_REDIRECT", "SESSION_EXPIRE_AT_BROWSER_CLOSE", "DEBUG", "EMBEDDED",
    ]  # fmt: skip
    said = json.loads(run("-c", ASK % (names,)).stdout)

    assert {name for name, value in said.items() if value} == set(names) - {"DEBUG", "EMBEDDED"}
