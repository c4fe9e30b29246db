"""Look at the messages that wait in a broker, and at all that is in them."""

import json
import zlib
from dataclasses import dataclass

import redis
from celery import current_app
from django_tasks_db.models import DBTaskResult

from tests.processes import wait_until


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        arguments: what the task is called with.
        text: everything that is sent, readable.
        priority: as the broker has it.
    """

    arguments: list
    text: str
    priority: int | None = None


def waiting(setup, count):
    """Take so many messages of this setup from its broker; none of its workers may run.

    One that was published may still be on its way.
    """
    found = []

    def have_come():
        if setup.name == "database":
            found[:] = _rows()
        elif setup.name == "rq":
            found.extend(_redis_jobs(setup.settings["RQ_QUEUES"]["default"]))
        else:
            found.extend(_published())
        return len(found) >= count

    wait_until(have_come)
    return found


def _rows():
    return [
        Message(row.args_kwargs["args"], str(vars(row)), row.priority)
        for row in DBTaskResult.objects.all()
    ]


def _redis_jobs(queue):
    messages = []
    with redis.Redis("127.0.0.1", queue["PORT"], queue["DB"]) as client:
        for key in client.keys("rq:job:*"):
            job = client.hgetall(key)
            data = zlib.decompress(job[b"data"])
            # A pickle of the function's path, None, and the arguments; they are read as text.
            messages.append(Message([], f"{job}{data}"))
        client.flushdb()
    return messages


def _published():
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        while message := channel.basic_get(current_app.conf.task_default_queue, no_ack=True):
            body = message.body if isinstance(message.body, str) else bytes(message.body).decode()
            about = f"{message.headers} {message.properties} {message.delivery_info}"
            priority = message.properties.get("priority")
            yield Message(json.loads(body)[0], f"{body} {about}", priority)
