"""Jobs against procrastinate, pgqueuer, django-tasks-db and Celery: `python -m benchmarks.jobs`."""
