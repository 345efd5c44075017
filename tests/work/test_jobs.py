"""Jobs: chunks commit with their cursor, a killed worker costs one chunk, a paused one changes nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from administration.errors import Refused
from administration.fields import db_now
from administration.work import jobs
from administration.work.models import Job, JobState

STEPS = 5


def count_to_five(job: Job) -> jobs.Progress:
    done = job.done + 1
    return jobs.Progress(cursor=str(done), done=done, phase="counting", finished=done == STEPS, result={"sum": done})


def count_slowly(job: Job) -> jobs.Progress:
    time.sleep(0.002)
    return count_to_five(job)


def refuse(job: Job) -> jobs.Progress:
    raise Refused("The file was taken away. Bring it back and start again.")


@pytest.fixture(autouse=True)
def steps() -> Iterator[None]:
    before = dict(jobs._steps)
    jobs.register("test.count", count_to_five)
    jobs.register("test.slow", count_slowly)
    jobs.register("test.refuse", refuse)
    yield
    jobs._steps.clear()
    jobs._steps.update(before)


def test_a_job_is_done_in_chunks_and_keeps_its_result(db):
    job = jobs.wait(jobs.start(None, "test.count", 1, total=STEPS))

    assert (job.state, job.done, job.cursor, job.result) == (JobState.DONE, 5, "5", {"sum": 5})
    assert job.finished_at is not None


def test_whoever_works_on_a_job_that_nobody_came_for_goes_on_without_waiting_again(db, monkeypatch):
    asked: list[int] = []
    inner = jobs.advance
    monkeypatch.setattr(jobs, "_is_quiet", lambda job: asked.append(job) is None)
    monkeypatch.setattr(jobs, "advance", lambda job, seconds: inner(job, seconds=0.001))  # one chunk at a time

    job = jobs.wait(jobs.start(None, "test.slow", 1, total=STEPS))

    assert (job.state, asked) == (JobState.DONE, [job.pk])


def test_whoever_waits_stands_back_when_another_has_the_job(db, monkeypatch):
    quiet = iter([True, False, True])  # others work on it the first time; later they are gone
    taken = iter([False])
    inner = jobs.advance
    monkeypatch.setattr(jobs, "_is_quiet", lambda _job: next(quiet))
    monkeypatch.setattr(jobs, "advance", lambda job, seconds: next(taken, None) is None and inner(job, seconds=60))

    assert jobs.wait(jobs.start(None, "test.count", 1)).state == JobState.DONE
    assert next(quiet, None) is None


def test_starting_twice_finds_the_same_waiting_job(db):
    assert jobs.start(None, "test.count", 1) == jobs.start(None, "test.count", 1)
    assert jobs.start(None, "test.count", 1) != jobs.start(None, "test.count", 2)


def test_a_job_that_ends_while_it_is_started_again_is_started_anew(db, monkeypatch):
    first = jobs.start(None, "test.count", 1)
    inner = Job.objects.bulk_create

    def and_then_it_ends(*args, **kwargs):
        inner(*args, **kwargs)
        Job.objects.filter(pk=first.pk, state=JobState.WAITING).update(state=JobState.DONE, finished_at=db_now(), result={})

    monkeypatch.setattr(Job.objects, "bulk_create", and_then_it_ends)

    assert jobs.start(None, "test.count", 1) != first
    assert Job.objects.filter(kind="test.count", state=JobState.WAITING).count() == 1


def test_a_job_that_ended_can_be_started_anew_but_not_reopened(db):
    first = jobs.wait(jobs.start(None, "test.count", 1))
    assert jobs.start(None, "test.count", 1) != first

    with pytest.raises(DatabaseError, match="job_that_ended_stays_ended"), transaction.atomic():
        Job.objects.filter(pk=first.pk).update(state=JobState.WAITING)


def test_a_refusal_ends_the_job_with_its_sentence(db):
    with pytest.raises(jobs.JobFailed, match="Bring it back"):
        jobs.wait(jobs.start(None, "test.refuse", 1))

    assert Job.objects.get().state == JobState.FAILED


def test_a_chunk_that_raises_is_rolled_back_and_tried_again(db, monkeypatch):
    failures = iter([True, True, False, False, False, False, False])

    def stumbles(job: Job) -> jobs.Progress:
        Job.objects.filter(pk=job.pk).update(phase="half done")
        if next(failures):
            raise OSError("disk is full")
        return count_to_five(job)

    jobs.register("test.stumble", stumbles)
    job = jobs.wait(jobs.start(None, "test.stumble", 1))

    assert (job.state, job.done, job.tries) == (JobState.DONE, 5, 0)


def test_a_chunk_that_always_raises_ends_the_job_after_a_few_tries(db):
    def breaks(job: Job) -> jobs.Progress:
        raise OSError("disk is full")

    jobs.register("test.break", breaks)
    with pytest.raises(jobs.JobFailed, match="disk is full"):
        jobs.wait(jobs.start(None, "test.break", 1))


def test_a_late_chunk_of_a_paused_worker_is_rolled_back_by_the_fence(db):
    def overtaken(job: Job) -> jobs.Progress:
        Job.objects.filter(pk=job.pk).update(fence=job.fence + 1)  # another worker took it meanwhile
        return count_to_five(job)

    jobs.register("test.overtaken", overtaken)
    job = jobs.start(None, "test.overtaken", 1)
    jobs.advance(job.pk)

    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.WAITING, 0)


def test_a_job_that_rests_lets_its_worker_go_and_is_taken_up_again(db, monkeypatch):
    rung = []
    monkeypatch.setattr(jobs.bell, "ring", rung.append)

    def rests(job: Job) -> jobs.Progress:
        done = job.done + 1
        return jobs.Progress(str(done), done, rests=done < 3, finished=done == 3)

    jobs.register("test.rest", rests)
    job = jobs.start(None, "test.rest", 1)
    assert jobs.advance(job.pk)
    job.refresh_from_db()
    assert (job.done, job.state, job.lease_until, rung) == (1, JobState.WAITING, None, [job.pk])  # rung for when it was started

    assert jobs.wait(job).done == 3


def test_the_fence_never_falls(db):
    job = jobs.start(None, "test.count", 1)
    Job.objects.filter(pk=job.pk).update(fence=5)
    with pytest.raises(DatabaseError, match="job_fence_never_falls"), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(fence=4)


HOLDER = """
import django, sys, time
django.setup()
from administration.work import jobs
def slow(job):
    print("holding", flush=True)
    time.sleep(60)
jobs.register("test.count", slow)
jobs.advance(int(sys.argv[1]))
"""


def test_a_job_of_a_killed_worker_is_taken_at_once_though_its_lease_runs_on(committed):
    job = jobs.start(None, "test.count", 1)
    worker = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(job.pk)], stdout=subprocess.PIPE,
        env=committed.env(DJANGO_SETTINGS_MODULE="config.settings"),
    )  # fmt: skip
    try:
        assert worker.stdout is not None and worker.stdout.readline() == b"holding\n"
        assert jobs.advance(job.pk) is False  # it lives: its lock is held, its lease has not lapsed
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    until = time.monotonic() + 10
    while not jobs.advance(job.pk) and time.monotonic() < until:
        time.sleep(0.05)

    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.DONE, 5)


def test_a_paused_workers_job_is_taken_when_its_lease_has_lapsed(committed):
    job = jobs.start(None, "test.count", 1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE work_job SET lease_until = clock_timestamp() - interval '1 s', fence = 7")

    assert jobs.advance(job.pk)
    job.refresh_from_db()
    assert (job.state, job.fence) == (JobState.DONE, 8)


def test_a_job_that_is_just_being_let_go_is_not_taken_from_whoever_still_holds_its_lock(committed):
    """Its lease may be empty already; taking it by that alone would lose the chunk to the next who finds the lock free."""
    job = jobs.start(None, "test.count", 1)
    holder = psycopg.connect(committed.env()["DATABASE_URL"], autocommit=True)
    try:
        holder.execute("SELECT pg_advisory_lock(%s, %s)", [jobs.LOCK_CLASS, job.pk])
        assert jobs.advance(job.pk) is False
        holder.execute("SELECT pg_advisory_unlock_all()")  # a closed connection lets go a moment later
    finally:
        holder.close()
    assert jobs.advance(job.pk)
