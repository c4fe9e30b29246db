"""Repositories: the queries of a model under the names of seed 002, on a session of the caller."""

from session_mgmt.repositories.jobs import JobRepository, get_job_repository, job_repository

__all__ = ["JobRepository", "get_job_repository", "job_repository"]
