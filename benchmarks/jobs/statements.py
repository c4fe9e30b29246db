"""What a person would write by hand with psycopg who wants jobs and speed and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FILL",
    "JOB",
    "claim_by_id",
    "claim_next",
    "create",
    "create_many",
]

JOB = "session_mgmt_job"
_COLUMNS = """
    is_active, created_at, updated_at, job_type, target_id, run_number, parameters, status,
    progress, current_step, attempt, given_back, priority, error_message
"""
_VALUES = (
    "true, now(), now(), 'bench', {target}, 1, jsonb_build_object(), 'pending', 0, '', 0, 0, 0, ''"
)

FILL = f"""
    INSERT INTO {JOB} ({_COLUMNS}) SELECT {_VALUES.format(target="'fill-' || n")}
    FROM generate_series(1, {{jobs}}) AS n
"""  # noqa: S608 # names

_CREATE = f"""
    WITH made AS (
        INSERT INTO {JOB} ({_COLUMNS}) VALUES ({_VALUES.format(target="%(key)s")})
        ON CONFLICT (job_type, target_id, run_number) DO NOTHING RETURNING *
    )
    SELECT * FROM made
    UNION ALL
    SELECT * FROM {JOB}
    WHERE job_type = 'bench' AND target_id = %(key)s AND NOT EXISTS (SELECT FROM made)
"""  # noqa: S608 # names

_CREATE_MANY = f"""
    INSERT INTO {JOB} ({_COLUMNS}) SELECT {_VALUES.format(target="key")}
    FROM unnest(%s::text[]) AS key
    ON CONFLICT (job_type, target_id, run_number) DO NOTHING RETURNING id, target_id
"""  # noqa: S608 # names

_RUNNING = """
    status = 'running', attempt = attempt + 1, lease_expires_at = now() + interval '1 min',
    started_at = coalesce(started_at, now()), updated_at = now()
"""
_CLAIM_BY_ID = f"""
    UPDATE {JOB} SET {_RUNNING}
    WHERE id = %s AND status = 'pending' AND (run_after IS NULL OR run_after <= now()) RETURNING *
"""  # noqa: S608 # names
_CLAIM_NEXT = f"""
    UPDATE {JOB} SET {_RUNNING} WHERE id = (
        SELECT id FROM {JOB}
        WHERE status = 'pending' AND (run_after IS NULL OR run_after <= now())
        ORDER BY dispatched_at FOR UPDATE SKIP LOCKED LIMIT 1
    ) RETURNING *
"""  # noqa: S608 # names


def _cursor() -> psycopg.Cursor[tuple[object, ...]]:
    url = os.environ["BENCHMARK_DATABASE_URL"]
    return psycopg.connect(url, autocommit=True, prepare_threshold=0).cursor()


def create() -> Callable[[Sequence[str]], None]:
    """Insert first, else read, in one statement."""
    cursor = _cursor()

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            # A rival that committed after the statement began is in neither half of it.
            while not cursor.execute(_CREATE, {"key": key}).fetchone():
                pass

    return work


def create_many() -> Callable[[Sequence[str]], None]:
    """Insert all at once from one array."""
    cursor = _cursor()

    def work(keys: Sequence[str]) -> None:
        if keys:
            cursor.execute(_CREATE_MANY, [list(keys)]).fetchall()

    return work


def claim_by_id() -> Callable[[Sequence[int]], None]:
    """Claim the jobs that one was told of."""
    cursor = _cursor()

    def work(ids: Sequence[int]) -> None:
        for job_id in ids:
            if not cursor.execute(_CLAIM_BY_ID, [job_id]).fetchone():
                raise LookupError(job_id)

    return work


def claim_next() -> Callable[[Sequence[int]], None]:
    """Claim whatever comes next, as often as there are ids."""
    cursor = _cursor()

    def work(ids: Sequence[int]) -> None:
        for job_id in ids:
            if not cursor.execute(_CLAIM_NEXT).fetchone():
                raise LookupError(job_id)

    return work
