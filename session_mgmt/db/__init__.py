"""Everything about the database that knows no model; `from session_mgmt.db import db_retry`."""

from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.legacy import get_database_session, initialize_database_and_session
from session_mgmt.db.retry import db_retry
from session_mgmt.db.session import DbSession, get_db_session
from session_mgmt.db.unit_of_work import run_in_transaction

__all__ = [
    "DbSession",
    "Fault",
    "classify",
    "db_retry",
    "get_database_session",
    "get_db_session",
    "initialize_database_and_session",
    "run_in_transaction",
]
