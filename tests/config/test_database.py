"""The test database itself: roles, clones, commits."""

import psycopg
import pytest
from django.db import ProgrammingError, connection, connections, transaction


def test_tests_work_as_the_app_and_not_as_a_superuser(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user")
        assert cursor.fetchone()[0] == "henkan_app"
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("CREATE TABLE t ()")


def test_a_role_is_entered_and_left_again(db, as_role, as_owner, as_superuser):
    with as_owner() as cursor:
        cursor.execute("CREATE TABLE t (a int)")
    with as_role("henkan_reader") as cursor:
        cursor.execute("SELECT * FROM t")
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_portal") as cursor:
        cursor.execute("SELECT * FROM t")
    with as_superuser() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("replica",)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('session_replication_role')")
        assert cursor.fetchone() == ("henkan_app", "origin")


def test_a_committed_database_is_seen_from_outside_and_by_the_owners_connection(committed):
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE seen (a int)")
    with psycopg.connect(committed.database_url) as outside:
        outside.execute("SELECT * FROM seen")


def test_the_next_committed_database_is_fresh(committed):
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT to_regclass('seen')")
        assert cursor.fetchone() == (None,)
