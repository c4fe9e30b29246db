"""A counter that tests share with the processes that they start, and ways to count with it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from asgiref.sync import sync_to_async
from django.db import connections

from session_mgmt import StaleObjectError
from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import (
    OaasConfig,
    OaasObject,
    OaasService,
    configure_oaas,
    get_global_oaas,
    oaas,
)
from tests.processes import wait_until


@oaas.service("Tally", package="tests")
class Tally(OaasObject):
    count: int = 0
    notes: list[str] = []

    @oaas.method
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @oaas.method(retry_on_conflict=True)
    def surely_increment(self) -> int:
        self.count += 1
        return self.count

    @oaas.method(retry_on_conflict=True)
    async def surely_increment_async(self) -> int:
        self.count += 1
        return self.count


def new_tally(**values):
    """Return an object that is stored."""
    tally = Tally.create()
    for name, value in values.items():
        setattr(tally, name, value)
    tally.session.commit()
    return tally


def copy_of(tally):
    """Return another copy of an object, in a session of its own that is committed by hand."""
    session = get_global_oaas().new_session(tally.partition_id)
    return session.load_object(Tally.__cls_meta__, tally.object_id)


def change_by_another(tally, by=1):
    """Do what another process would: change the row behind the back of this copy."""
    theirs = copy_of(tally)
    theirs.increment(by)
    theirs.session.commit()


def count_of(tally):
    """Return what is stored."""
    return state_of(tally)["count"]


def state_of(tally):
    """Return all of what is stored."""
    return StoredObject.objects.get(object_id=tally.object_id).state


def counts():
    """Return what is stored of all objects: counts by id."""
    rows = StoredObject.objects.values_list("object_id", "state")
    return {number: state["count"] for number, state in rows}


def in_threads(function, argument_lists):
    """Call a function in a thread for each tuple of arguments; return results, raise errors."""
    results, errors = [], []

    def work(arguments):
        try:
            results.append(function(*arguments))
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(each,)) for each in argument_lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


# What counts, as threads and processes call it with the number of an object


def by_retrying(number, times):
    """Count by a method that repeats itself."""
    tally = Tally.load(number)
    for _ in range(times):
        tally.surely_increment()


def by_retrying_in_tasks(number, times):
    """Count in two tasks by a coroutine method that repeats itself."""

    async def count():
        tally = await Tally.aload(number)
        for _ in range(times // 2):
            await tally.surely_increment_async()

    async def both():
        try:
            await asyncio.gather(count(), count())
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(both())


def by_commits(number, times):
    """Count, taking losses; return how often it was told of success, and how often of a loss."""
    lost = 0
    for _ in range(times):
        try:
            tally = Tally.load(number)
            tally.increment()
            tally.session.commit()
        except StaleObjectError:
            lost += 1
    return times - lost, lost


def by_scopes(number, times):
    """Do as `by_commits` with scopes."""
    lost = 0
    for _ in range(times):
        try:
            with OaasService.session_scope():
                Tally.load(number).increment()
        except StaleObjectError:
            lost += 1
    return times - lost, lost


def in_process(way, *arguments):
    """Count in a process of its own, by one of the ways above."""
    configure_oaas(OaasConfig(auto_commit=False))
    return globals()[way](*arguments)


def in_background(number, processes):
    """Change an object that another process changes in the same interval, and one of its own.

    Both have loaded it before either writes.
    """
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("session_mgmt.objects").addHandler(handler)
    configure_oaas(OaasConfig(auto_commit_interval=0.2))
    own = new_tally()
    tally = Tally.load(number)
    new_tally()  # it has loaded
    wait_until(lambda: StoredObject.objects.count() >= 1 + 2 * processes)
    tally.increment()
    own.increment()
    flush()
    failures = get_global_oaas().manager.counts.stale
    return tally.is_stale, failures, messages, count_of(own)


@oaas.service("Pair", package="tests")
class Pair(OaasObject):
    left: int = 0
    right: int = 0

    @oaas.method
    def step(self, seconds: float) -> int:
        self.left += 1
        time.sleep(seconds)
        self.right += 1
        return self.left
