"""Roles first, then the migrations, as henkan_owner."""

import argparse
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

from administration.errors import Refused
from administration.people import roles


class Command(Migrate):
    """`migrate` of Django, entering the owner's role, after seeing that the roles exist."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        login = {k: v for k, v in connections["owner"].get_connection_params().items() if k != "options"}
        with psycopg.connect(**_plain(login), autocommit=False) as connection, connection.cursor() as cursor:
            try:
                roles.ensure(cursor)
            except Refused as refusal:
                raise CommandError(str(refusal)) from None
        super().handle(*args, **options)
        with connections["owner"].cursor() as cursor:
            roles.finish(cursor)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """The connection's parameters without those of Django's own cursors."""
    ours = ("cursor_factory", "context", "prepare_threshold", "autocommit")
    return {name: value for name, value in params.items() if name not in ours}
