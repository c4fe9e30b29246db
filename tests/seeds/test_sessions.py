"""The examples of seeds 002, 003 and 004 that are about sessions; only their imports differ."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError

from session_mgmt.db import db_retry, get_db_session
from tests.db.conftest import fail_transiently

pytestmark = pytest.mark.django_db(transaction=True)


class SomeController:
    def __init__(self, session):
        self.session = session

    def do_something(self, data):
        self.session.add(Group(name=data))
        if data == "bad":
            raise ValueError("bad data")
        return data


def my_handler_function(data, user_session):
    try:
        with get_db_session() as session:
            controller = SomeController(session)
            result = controller.do_something(data)
            return {"success": True, "data": result}
    except Exception as e:
        return {"success": False, "error": str(e)}


def test_the_handler_of_seed_003_commits_or_reports():
    assert my_handler_function("good", None) == {"success": True, "data": "good"}
    assert my_handler_function("bad", None) == {"success": False, "error": "bad data"}
    assert [group.name for group in Group.objects.all()] == ["good"]


def test_the_query_of_seed_004_finds_its_user():
    johndoe = User.objects.create_user("johndoe")
    with get_db_session() as session:
        # Use session here
        user = session.query(User).filter_by(id=johndoe.id).first()
    assert user == johndoe


def test_the_error_handling_of_seed_004_rolls_back_and_lets_the_error_out():
    with pytest.raises(ValueError, match="bad data"), get_db_session() as session:
        try:
            SomeController(session).do_something("bad")
            session.commit()
        except Exception:
            session.rollback()
            raise
    assert not Group.objects.exists()


def test_two_repositories_of_seed_002_use_the_same_session():
    with pytest.raises(ValueError, match="bad data"), get_db_session() as session:
        SomeController(session).do_something("good")
        SomeController(session).do_something("bad")
    assert not Group.objects.exists()


def test_seed_002_disables_retries_for_a_method():
    calls = []

    class Repository:
        @db_retry(max_retries=0)
        def my_method(self):
            # Won't retry
            calls.append(1)
            fail_transiently()

    with pytest.raises(OperationalError):
        Repository().my_method()
    assert len(calls) == 1
