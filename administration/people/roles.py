"""
The four database roles and what each may do by default.

henkan_owner owns and migrates. henkan_app works: rows may be read and written where a room does not
take that away again. henkan_portal starts with nothing. henkan_reader reads. None of them can log in:
the login of DATABASE_URL is a member and enters one of them when it connects.
"""

from typing import Any

from administration.errors import Refused

ROLES = ("henkan_owner", "henkan_app", "henkan_portal", "henkan_reader")

RIGHTS = """
GRANT CREATE ON DATABASE {database} TO henkan_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO henkan_owner;
GRANT USAGE ON SCHEMA public TO henkan_app, henkan_portal, henkan_reader;
"""

# These speak for whatever henkan_owner makes later, so they come before the first migration.
DEFAULTS = """
ALTER DEFAULT PRIVILEGES FOR ROLE henkan_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE henkan_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO henkan_app;
ALTER DEFAULT PRIVILEGES FOR ROLE henkan_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO henkan_app;
ALTER DEFAULT PRIVILEGES FOR ROLE henkan_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO henkan_app;
ALTER DEFAULT PRIVILEGES FOR ROLE henkan_owner IN SCHEMA public GRANT SELECT ON TABLES TO henkan_reader;
"""

# After migrating: nobody but the owner says which migrations have run, and no reader takes over a session.
AFTERWARDS = """
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM henkan_app;
REVOKE ALL ON django_session FROM henkan_reader;
"""

MISSING = "SELECT wanted FROM unnest(%s::text[]) wanted WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)"
NOT_ENTERABLE = "SELECT wanted FROM unnest(%s::text[]) wanted WHERE NOT pg_has_role(current_user, wanted, 'SET')"
MAY_CREATE = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
MAY_GRANT = """
SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'
"""
IN_PLACE = """
SELECT has_schema_privilege('henkan_owner', 'public', 'CREATE')
   AND has_schema_privilege('henkan_app', 'public', 'USAGE')
   AND has_schema_privilege('henkan_portal', 'public', 'USAGE')
   AND has_schema_privilege('henkan_reader', 'public', 'USAGE')
"""


class NoRoles(Refused):
    """The login of DATABASE_URL may not make the roles; somebody who may runs the SQL in the message."""


def ensure(cursor: Any) -> None:
    """
    Make what is missing of the roles and their rights. Running it again changes nothing.

    The cursor is of the login itself, in no role.
    """
    cursor.execute("SELECT quote_ident(current_user), quote_ident(current_database())")
    login, database = cursor.fetchone()
    missing = _names(cursor, MISSING, [list(ROLES)])
    may_create = _one(cursor, MAY_CREATE)
    may_grant = _one(cursor, MAY_GRANT)
    if missing and not may_create:
        raise NoRoles(_by_hand(login, database, missing))
    for role in missing:
        cursor.execute(f"CREATE ROLE {role} NOLOGIN")
    outside = _names(cursor, NOT_ENTERABLE, [list(ROLES)])
    if outside and not may_create:
        raise NoRoles(_by_hand(login, database, missing))
    for role in outside:
        cursor.execute(f"GRANT {role} TO {login}")
    if may_grant:
        cursor.execute(RIGHTS.format(database=database))
    elif not _one(cursor, IN_PLACE):
        raise NoRoles(_by_hand(login, database, missing))
    cursor.execute("SET ROLE henkan_owner")
    cursor.execute(DEFAULTS)
    cursor.execute("RESET ROLE")


def finish(cursor: Any) -> None:
    """What can only be said once the tables are there. The cursor is henkan_owner's."""
    cursor.execute(AFTERWARDS)


def _by_hand(login: str, database: str, missing: list[str]) -> str:
    creates = "".join(f"CREATE ROLE {role} NOLOGIN;\n" for role in missing)
    return (
        f"The login {login} may not set up the database roles. Have a superuser run this in database {database}, "
        f"then run the command again:\n\n{creates}GRANT {', '.join(ROLES)} TO {login};{RIGHTS.format(database=database)}"
    )


def _one(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


def _names(cursor: Any, sql: str, params: list[Any]) -> list[str]:
    cursor.execute(sql, params)
    return [name for (name,) in cursor.fetchall()]
