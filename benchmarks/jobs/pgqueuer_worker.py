"""Run pgqueuer's jobs until this process is ended.

That is what `pgq run` does, which pgqueuer 1.6 and typer 0.29 between them cannot start.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import asyncpg
from pgqueuer import PgQueuer

from benchmarks.jobs.ticks import tick

if TYPE_CHECKING:
    from pgqueuer.models import Job


async def main() -> None:
    """Listen, dequeue and run with the driver that pgqueuer is at home with."""
    connection = await asyncpg.connect(os.environ["BENCHMARK_DATABASE_URL"])
    queuer = PgQueuer.from_asyncpg_connection(connection)

    @queuer.entrypoint("tick")
    async def note(job: Job) -> None:
        tick((job.payload or b"").decode())

    await queuer.run()


if __name__ == "__main__":
    asyncio.run(main())
