"""Where the running stack can be reached."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config import stack


class Command(BaseCommand):
    help = "Print the addresses of the running embedded stack; exit 1 when none runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        found = stack.running_in(stack.state_dir())
        if found is None:
            print(f"No stack runs in {stack.state_dir()}. Start one with: python3 manage.py up", file=sys.stderr)
            sys.exit(1)
        if options["json"]:
            print(json.dumps(found), file=sys.stdout)
        else:
            print("\n".join(f"{name}: {value}" for name, value in found.items()), file=sys.stdout)
