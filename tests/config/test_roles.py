"""One DATABASE_URL: the roles are made, or their SQL is printed, and nothing embedded starts."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db import ProgrammingError

from administration.people import roles
from config import stack


@pytest.fixture
def real_server() -> Iterator[str]:
    """A server of somebody else's, with no role of ours on it yet."""
    with stack.temporary_state() as state, stack.running(state, alone=True, durable=False) as found:
        yield found.addresses.database_url


@pytest.fixture
def superuser(real_server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(real_server, autocommit=True) as connection:
        yield connection


def login(superuser: psycopg.Connection, url: str, name: str, rights: str) -> str:
    """A login that owns a database of its own; gives its DATABASE_URL."""
    superuser.execute(f"CREATE ROLE {name} LOGIN {rights}")
    superuser.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0")
    return url.replace("postgres@", f"{name}@").replace("/henkan", f"/{name}")


def test_a_login_that_may_not_make_roles_prints_sql_that_does(real_server, superuser):
    url = login(superuser, real_server, "clerk", "NOCREATEROLE")

    with psycopg.connect(url) as connection, pytest.raises(roles.NoRoles) as refusal:
        roles.ensure(connection.cursor())
    sql = str(refusal.value).partition("\n\n")[2]
    with psycopg.connect(real_server.replace("/henkan", "/clerk"), autocommit=True) as dba:
        dba.execute(sql)

    for _ in range(2):  # running it again changes nothing
        with psycopg.connect(url) as connection:
            roles.ensure(connection.cursor())
    with psycopg.connect(url, options="-c role=henkan_app") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("henkan_app",)


def test_a_login_that_may_make_roles_needs_no_superuser_and_starts_nothing(real_server, superuser, tmp_path):
    url = login(superuser, real_server, "deployer", "CREATEROLE")
    env = {name: value for name, value in os.environ.items() if name not in ("HENKAN_EMBEDDED", *stack.KEPT)}
    env |= {"DATABASE_URL": url, "REDIS_URL": "unix:///nowhere?db=0", "HENKAN_STATE_DIR": str(tmp_path / "state")}
    env |= {"NO_BOOTSTRAP": "1", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}

    default_state = stack.PROJECT / ".state"
    before = default_state.exists() and default_state.stat().st_mtime
    done = subprocess.run(
        [sys.executable, "-B", "manage.py", "migrate", "-v0"],
        cwd=stack.PROJECT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert before == (default_state.exists() and default_state.stat().st_mtime)
    with psycopg.connect(url) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        logins = connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^henkan_' AND rolcanlogin").fetchall()
    assert owners == [("henkan_owner",)]
    assert logins == []


def test_redis_alone_is_refused_with_a_sentence(tmp_path):
    env = {**os.environ, "REDIS_URL": "redis://localhost", "DATABASE_URL": "", "NO_BOOTSTRAP": "1"}

    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"], cwd=stack.PROJECT, env=env, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "REDIS_URL is set and DATABASE_URL is not" in done.stderr


# --- what each role may do before any room says more --------------------------------------------


def tables(cursor) -> list[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [name for (name,) in cursor.fetchall()]


def test_the_portals_role_reads_no_table_and_calls_only_what_the_portal_room_gives_it(db, as_role, as_owner):
    with as_owner() as cursor:
        names = tables(cursor)
        cursor.execute(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.role_table_grants "
            "WHERE grantee IN ('henkan_portal', 'PUBLIC') AND table_schema = 'public'"
        )
        assert cursor.fetchall() == []
        cursor.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
            "AND has_function_privilege('henkan_portal', oid, 'EXECUTE')"
        )
        callable_by_it = {name.split("(")[0] for (name,) in cursor.fetchall()}
    assert {name for name in callable_by_it if not name.startswith("portal_")} <= {"destination_fingerprint", "frame"}
    assert len(names) > 50
    for name in names:
        with refused(), as_role("henkan_portal") as cursor:
            cursor.execute(f"SELECT FROM {name}")


def refused():
    return pytest.raises(ProgrammingError, match="permission denied")


@pytest.mark.parametrize("role", ["henkan_app", "henkan_portal", "henkan_reader"])
def test_no_role_but_the_owner_makes_tables_or_says_what_was_migrated(db, as_role, role):
    for sql in ("CREATE TABLE t ()", "DELETE FROM django_migrations", "CREATE SCHEMA s"):
        with refused(), as_role(role) as cursor:
            cursor.execute(sql)


def test_the_reader_only_reads(db, as_role, as_owner):
    with as_owner() as cursor:
        names = tables(cursor)
    for name in names:
        with refused(), as_role("henkan_reader") as cursor:
            cursor.execute(f"DELETE FROM {name}")
