"""Settings with a second database for the partitions from 100 on, and a program that uses both.

`python -m tests.objects.partitioned FILE` prints as JSON what is in each database afterwards.
"""

import json
import os
import sys

from tests.settings import *  # noqa: F403 # the same site
from tests.settings import DATABASES, SESSION_MGMT

DATABASES["second"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": os.environ.get("SECOND_DATABASE", ""),
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
}
DATABASE_ROUTERS = ["tests.objects.partitioned.ByPartition"]
SESSION_MGMT["FLUSH_INTERVAL"] = 0.05


class ByPartition:
    """Sends an object to the database of its partition."""

    def db_for_write(self, model, *, partition_id=0, **hints):
        if model._meta.model_name == "storedobject":
            return "second" if partition_id >= 100 else "default"
        return None


def main():
    import django

    django.setup()
    from django.core.management import call_command

    from session_mgmt.db.write_behind import flush
    from session_mgmt.models import StoredObject
    from session_mgmt.objects import OaasObject, OaasService, oaas

    call_command("migrate", database="second", verbosity=0)

    @oaas.service("Partitioned", package="tests")
    class Partitioned(OaasObject):
        text: str = ""

    for partition in (0, 7, 100, 101):
        Partitioned.create(5, partition_id=partition).text = f"in {partition}"
    flush()
    with OaasService.session_scope(101):
        Partitioned.load(5, partition_id=101).text += ", changed"
    print(
        json.dumps(
            {
                alias: sorted(
                    StoredObject.objects.using(alias).values_list("partition_id", "state__text")
                )
                for alias in ("default", "second")
            }
        )
    )


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.objects.partitioned"
    os.environ["SECOND_DATABASE"] = sys.argv[1]
    main()
