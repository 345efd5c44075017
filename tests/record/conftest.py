"""A case as far as the record knows it, and how to act in it."""

import datetime
import threading
from dataclasses import dataclass

import pytest
from django.db import connections, transaction

from administration.record import heads, log, verify

NOON = datetime.datetime(2027, 4, 1, 3, 0, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class ACase:
    pk: int
    reference: str

    def act(self, kind="batch.frozen", **body):
        with transaction.atomic():
            return log.append(self, kind, subject=("batch", 17), by=None, at=NOON, body=body)

    def acts(self, count):
        for number in range(count):
            self.act(amount=number)

    def seal(self):
        return heads.seal(self, at=NOON)


@pytest.fixture(autouse=True)
def only_the_record(monkeypatch):
    """What other rooms derive needs a case that is more than a name."""
    monkeypatch.setattr(verify, "_derivations", {})


@pytest.fixture
def a_case(db):
    return ACase(7, "T-7")


@pytest.fixture
def another_case(db):
    return ACase(8, "T-8")


def beside(act, *arguments):
    """Do it in a thread with a connection of its own."""

    def run():
        try:
            act(*arguments)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread
