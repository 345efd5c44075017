"""What a demo sign-in's authenticator shows now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from administration.errors import Refused
from administration.office import demo
from administration.people.models import User


class Command(BaseCommand):
    help = "Show the code that a demo sign-in's authenticator shows now. Only on the embedded stack."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="who signs in: aoki, baba, goto or chiba")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError("Nobody signs in by that name.")
        try:
            self.stdout.write(demo.code_of(user))
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
