"""What views do before the first query, when there is no transaction yet."""

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from session_mgmt.db import db_retry, get_db_session, run_in_transaction

pytestmark = pytest.mark.django_db(transaction=True)


def add(name):
    return Group.objects.create(name=name)


def statements(ask, view):
    """Return the first words of what the request sent."""
    with CaptureQueriesContext(connection) as queries:
        assert ask(view).status_code == 200
    return [query["sql"].split()[0] for query in queries.captured_queries]


def test_one_query_costs_a_begin_and_a_commit_and_no_query_costs_nothing(ask):
    connection.ensure_connection()
    assert statements(ask, lambda request: HttpResponse(Group.objects.count())) == [
        "BEGIN",
        "SELECT",
        "COMMIT",
    ]
    assert statements(ask, lambda request: HttpResponse("ok")) == []


def test_a_savepoint_and_a_block_without_one_come_first(ask, names):
    def view(request):
        with transaction.atomic(savepoint=False):
            add("joined")
            with transaction.atomic():
                add("savepoint")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            add("undone")
            raise ZeroDivisionError
        return HttpResponse("ok")

    assert ask(view).status_code == 200
    assert names() == ["joined", "savepoint"]


def test_a_block_without_a_savepoint_that_fails_before_the_first_query_breaks_all(ask, names):
    def view(request):
        with pytest.raises(ZeroDivisionError), transaction.atomic(savepoint=False):
            raise ZeroDivisionError
        with pytest.raises(transaction.TransactionManagementError):
            add("too late")
        return HttpResponse("ok")

    assert ask(view).status_code == 500
    assert names() == []


@pytest.mark.parametrize("query_first", [False, True])
def test_a_durable_block_is_refused(ask, query_first):
    def view(request):
        if query_first:
            Group.objects.exists()
        with transaction.atomic(durable=True):
            add("never")

    response = ask(view)
    assert response.status_code == 500
    assert "durable" in str(response.exc_info[1])


def test_hooks_run_in_order_and_after_the_commit(ask, names):
    ran = []

    def note(name):
        ran.append((name, connection.in_atomic_block, Group.objects.count()))

    def view(request):
        transaction.on_commit(lambda: note("before the first query"))
        with transaction.atomic():
            transaction.on_commit(lambda: note("in a block"))
            add("written")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            transaction.on_commit(lambda: note("undone"))
            raise ZeroDivisionError
        transaction.on_commit(lambda: note("last"))
        assert not ran
        return HttpResponse("ok")

    assert ask(view).status_code == 200
    assert ran == [(name, False, 1) for name in ("before the first query", "in a block", "last")]


def test_hooks_of_a_view_that_fails_do_not_run(ask):
    def view(request):
        transaction.on_commit(lambda: pytest.fail("it ran"))
        raise ZeroDivisionError

    assert ask(view).status_code == 500


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("query_after", [False, True])
def test_a_connection_may_be_closed_before_the_first_query(ask, names, kept, query_after):
    connection.close()
    if kept:
        connection.ensure_connection()

    def view(request):
        connection.close()
        if query_after:
            add("written")
        return HttpResponse("ok")

    assert ask(view).status_code == 200
    assert names() == ["written"] * query_after


def test_a_connection_that_is_closed_later_loses_everything_and_says_so(ask, names):
    def view(request):
        add("lost")
        connection.close()
        return HttpResponse("ok")

    assert ask(view).status_code == 500
    assert ask(lambda request: HttpResponse("the next one")).status_code == 200
    assert names() == []


@pytest.mark.parametrize("query_first", [False, True])
@pytest.mark.parametrize("query_after", [False, True])
def test_a_rollback_that_is_asked_for_is_never_a_success(ask, names, query_first, query_after):
    def view(request):
        if query_first:
            add("first")
        transaction.set_rollback(True)
        if query_after:
            add("after")
        return HttpResponse("ok")

    assert ask(view).status_code == 500
    assert names() == []


def test_a_rollback_that_is_asked_for_and_answered_so_is_one(ask, names):
    def view(request):
        add("undone")
        transaction.set_rollback(True)
        return HttpResponse("no", status=409)

    assert ask(view).status_code == 409
    assert names() == []


def test_a_rollback_may_be_taken_back_before_the_first_query(ask, names):
    def view(request):
        transaction.set_rollback(True)
        transaction.set_rollback(False)
        add("written")
        return HttpResponse("ok")

    assert ask(view).status_code == 200
    assert names() == ["written"]


@pytest.mark.parametrize(("status", "kept"), [(200, ["first", "second"]), (500, [])])
def test_a_session_inside_commits_nothing_for_good(ask, names, status, kept):
    def view(request):
        with get_db_session() as session:
            session.add(Group(name="first"))
            session.commit()
            session.add(Group(name="second"))
        with pytest.raises(ZeroDivisionError), get_db_session() as session:
            session.add(Group(name="undone"))
            raise ZeroDivisionError
        return HttpResponse("ok", status=status)

    assert ask(view).status_code == status
    assert names() == kept


@pytest.mark.parametrize("decorate", [db_retry, lambda work: lambda: run_in_transaction(work)])
def test_what_repeats_elsewhere_is_called_once_inside_a_request(ask, names, monkeypatch, decorate):
    called = []

    def work():
        called.append(1)
        add("undone")
        raise serialization_failure()

    assert ask(lambda request: decorate(work)()).status_code == 503
    assert called == [1]
    assert names() == []


def serialization_failure():
    """Return an error as the database that the test runs on reports a conflict."""
    cause = Exception("made up")
    cause.sqlstate = "40001"
    error = DatabaseError("made up")
    error.__cause__ = cause
    return error


def test_rows_can_be_locked_first_thing(ask):
    add("row")
    assert (
        ask(lambda request: HttpResponse(Group.objects.select_for_update().get().name)).content
        == b"row"
    )


def test_wrappers_of_queries_come_and_go(ask):
    seen = []

    def wrapper(execute, sql, *more):
        seen.append(sql.split()[0])
        return execute(sql, *more)

    def view(request):
        with connection.execute_wrapper(wrapper):
            Group.objects.count()
        Group.objects.count()
        return HttpResponse("ok")

    assert ask(view).status_code == 200
    assert seen.count("SELECT") == 1


def test_error_handlers_find_a_connection_that_works(ask, settings, names):
    from tests.middleware import site

    def view(request):
        add("undone")
        raise transaction.TransactionManagementError

    site.handler500 = lambda request: HttpResponse(Group.objects.count(), status=500)
    try:
        response = ask(view)
    finally:
        del site.handler500
    assert (response.status_code, response.content) == (500, b"0")


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "kept"), [(200, ["before", "written"]), (500, ["before"])])
def test_in_a_test_case_a_request_is_a_savepoint(ask, names, status, kept):
    add("before")

    def view(request):
        add("written")
        return HttpResponse("ok", status=status)

    assert ask(view).status_code == status
    assert connection.in_atomic_block
    assert names() == kept


@pytest.mark.django_db
def test_in_a_test_case_hooks_can_be_captured(ask, django_capture_on_commit_callbacks):
    ran = []

    def view(request):
        transaction.on_commit(lambda: ran.append("hook"))
        return HttpResponse("ok")

    with django_capture_on_commit_callbacks(execute=True):
        assert ask(view).status_code == 200
        assert ran == []
    assert ran == ["hook"]
