"""Roles first, then the migrations, as henkan_owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import NOT_PROVIDED

from administration.errors import Refused
from administration.people import roles


class Command(Migrate):
    """`migrate` of Django, entering the owner's role, after seeing that the roles exist."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        with psycopg.connect(**_login()) as connection, connection.cursor() as cursor:
            try:
                roles.ensure(cursor)
            except Refused as refusal:
                raise CommandError(str(refusal)) from None
        with _rendering_only_what_is_new():
            super().handle(*args, **options)
        with connections["owner"].cursor() as cursor:
            roles.finish(cursor)


def _login() -> dict[str, Any]:
    """The parameters of the owner's connection, without its role and without Django's own cursors."""
    ours = ("cursor_factory", "context", "prepare_threshold", "autocommit", "options")
    return {name: value for name, value in connections["owner"].get_connection_params().items() if name not in ours}


@contextmanager
def _rendering_only_what_is_new() -> Iterator[None]:
    """
    First migrations in 3 s instead of 15.

    After each operation Django builds every model again that is related to the one it touched: here,
    nearly all of them, hundreds of times. A model that is new has nobody pointing at it yet, a
    constraint or index changes no relation, and who points at a model that gets another column asks
    it for its key only; so for these three only the model itself is built.
    """
    with (
        patch.object(ProjectState, "add_model", _add_model),
        patch.object(ProjectState, "add_field", _add_field),
        patch.object(ProjectState, "_append_option", _append_option),
    ):
        yield


def _add_model(state: Any, model: ModelState) -> None:
    key = model.app_label, model.name_lower
    state.models[key] = model
    if state._relations is not None:  # noqa: SLF001 -- as Django's own does
        state.resolve_model_relations(key)
    if "apps" in state.__dict__:
        state.apps.clear_cache()
        state.apps.render_multiple([model])


def _add_field(state: Any, app_label: str, model_name: str, name: str, field: Any, preserve_default: bool) -> None:
    key = app_label, model_name
    if not preserve_default:
        field = field.clone()
        field.default = NOT_PROVIDED
    state.models[key].fields[name] = field
    if state._relations is not None:  # noqa: SLF001 -- as Django's own does
        state.resolve_model_field_relations(key, name, field)
    if "apps" in state.__dict__:
        state.apps.unregister_model(*key)
        state.apps.render_multiple([state.models[key]])


def _append_option(state: Any, app_label: str, model_name: str, option_name: str, obj: Any) -> None:
    model = state.models[app_label, model_name]
    model.options[option_name] = [*model.options[option_name], obj]
    if "apps" in state.__dict__:
        state.apps.unregister_model(app_label, model_name)
        state.apps.render_multiple([model])
