"""Every row of AtomicRequestMiddleware's table, on real servers."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import connection
from django.urls import get_resolver

from session_mgmt.live.urls import urlpatterns as live_urls
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WRITTEN = ["written"]


@pytest.mark.parametrize(
    ("path", "status", "written"),
    [
        ("/raises/", 500, []),
        ("/raises/?what=404", 404, []),
        ("/raises/?what=403", 403, []),
        ("/araises/", 500, []),
        ("/araises/?what=404", 404, []),
        ("/ok/", 200, WRITTEN),
        ("/ok/?status=204", 204, WRITTEN),
        ("/ok/?status=302", 302, WRITTEN),
        ("/ok/?status=404", 404, WRITTEN),
        ("/ok/?status=409", 409, WRITTEN),
        ("/ok/?status=500", 500, []),
        ("/ok/?status=503", 503, []),
        ("/aok/", 200, WRITTEN),
        ("/aok/?status=502", 502, []),
        ("/handles/", 200, WRITTEN),
        ("/hook_without_query/", 200, WRITTEN),
        ("/non_atomic/", 500, WRITTEN),
        ("/unknown/?write_first=written", 404, WRITTEN),
        # An exception that an inner middleware turns into an answer counts as that answer.
        ("/raises/?swallow=200", 200, WRITTEN),
        ("/raises/?swallow=500", 500, []),
        ("/swallows/?write_first=written&swallow=503", 503, []),
    ],
)
def test_what_a_view_does_decides_what_is_kept(site, names, path, status, written):
    assert site.get(path).status == status
    assert names() == written


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize(("asked", "status"), [(200, 500), (302, 500), (409, 409), (503, 503)])
def test_a_swallowed_error_is_never_a_success(site, names, asked, status):
    assert site.get(f"/swallows/?status={asked}").status == status
    assert names() == []


# Commits that fail


def test_a_commit_that_can_never_succeed_is_an_error(site, names):
    with site.logged() as logged:
        answer = site.post("/permission_of_nothing/")
    assert answer.status == 500
    assert answer.headers["Retry-After"] is None
    assert "IntegrityError" in logged()
    assert names() == []
    assert not Session.objects.exists()
    assert answer.headers["Set-Cookie"] is None


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("query", ["", "?session"])
def test_a_commit_that_met_a_conflict_may_be_sent_again(site, names, query):
    with site.logged() as logged:
        answer = site.post(f"/serialization_failure/{query}")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"
    assert logged().count("transient database error") == 1
    assert "django.request" not in logged()
    assert names() == ["other"]
    assert not Session.objects.exists()
    assert answer.headers["Set-Cookie"] is None


@pytest.fixture
def commit_is_lost(postgres, database):
    """The server ends a connection that commits a new group; nobody is told what came of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER hang_up AFTER INSERT ON auth_group"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang_up()"
        )
        yield
        cursor.execute("DROP FUNCTION hang_up CASCADE")


@pytest.mark.usefixtures("commit_is_lost")
def test_only_a_safe_method_is_invited_again_when_nobody_knows_whether_it_was_done(site):
    answer = site.get("/ok/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    with site.logged() as logged:
        answer = site.post("/ok/")
    assert (answer.status, answer.headers["Retry-After"]) == (500, None)
    assert "CommitOutcomeUnknownError" in logged()
    assert site.get("/reads/").status == 200


def test_an_error_of_an_inner_middleware_is_one(site, names):
    Group.objects.create(name="there")
    with site.logged() as logged:
        assert site.get("/no_query/?write_first=there").status == 500
    assert "IntegrityError" in logged()
    assert names() == ["there"]


def test_a_hook_that_fails_is_logged_and_the_next_one_runs(site, names):
    with site.logged() as logged:
        assert site.get("/hook_fails/").status == 200
    assert "ZeroDivisionError" in logged()
    assert names() == ["later hook", "written"]


# Streams


# An ASGI server wants an async body, a WSGI server a plain one.
STREAMS = pytest.mark.parametrize(
    ("site", "path"), [("uvicorn", "/astreams/"), ("gunicorn", "/streams/")], indirect=["site"]
)


@STREAMS
@pytest.mark.usefixtures("postgres")
def test_a_stream_is_committed_and_gives_its_connection_back_before_it_begins(
    site, path, names, backends, tmp_path
):
    hold = tmp_path / "hold"
    hold.touch()
    with site.sending("GET", f"{path}?hold={hold}") as open_connection:
        body = open_connection.getresponse()
        assert body.readline() == b"False False\n"
        assert names() == WRITTEN
        wait_until(lambda: backends(site) == {})
        hold.unlink()
        assert body.read() == b"1"
        assert body.headers["X-Leftovers"] == "[]"
        body.close()
    wait_until(lambda: backends(site) == {})


@STREAMS
def test_a_stream_reads_what_its_view_wrote(site, path):
    assert site.get(path).text == "False False\n1"


# Views that want no transaction


def test_live_views_have_no_transaction():
    found = {pattern.name: pattern.callback._non_atomic_requests for pattern in live_urls}
    assert set(found) >= {"snapshot"}
    assert all("default" in aliases for aliases in found.values())
    assert get_resolver("tests.middleware.site").resolve("/ok/").func  # the same way Django asks


def test_a_safe_method_has_none_where_the_setting_says_so(strict_site, names):
    assert strict_site.get("/raises/?name=get").status == 500
    assert strict_site.post("/raises/?name=post").status == 500
    assert names() == ["get"]


def test_a_returned_4xx_is_rolled_back_where_the_setting_says_so(strict_site, names):
    assert strict_site.post("/ok/?status=409").status == 409
    assert names() == []
    assert strict_site.post("/ok/?status=302").status == 302
    assert names() == WRITTEN


@pytest.mark.usefixtures("postgres")
def test_a_view_without_a_query_takes_no_connection(site, backends):
    wait_until(lambda: backends(site) == {})  # of earlier requests
    assert site.get("/no_query/").text == "True"
    assert backends(site) == {}


# Several requests and several connections


@pytest.mark.parametrize("site", ["uvicorn"], indirect=True)
def test_concurrent_async_requests_have_their_own_transactions(site, names):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one transaction write at a time")
    whats = ["", "", "&what=404", "&what=500"]
    with ThreadPoolExecutor(len(whats)) as threads:
        answers = list(
            threads.map(
                lambda number: site.get(f"/meets/?party=4&name={number}{whats[number]}"),
                range(len(whats)),
            )
        )
    assert [answer.status for answer in answers] == [200, 200, 404, 500]
    assert len({answer.text for answer in answers[:2]}) == 2
    assert names() == ["0", "1"]


def test_sessions_that_overlap_in_one_request_are_refused(site, names):
    with site.logged() as logged:
        assert site.get("/gathers/").status == 500
    assert "Another task has a session open on this connection" in logged()
    assert names() == []
    assert site.get("/ok/").status == 200


@pytest.mark.parametrize("site", ["uvicorn"], indirect=True)
def test_a_client_that_hangs_up_rolls_back(site, names, tmp_path):
    reached = tmp_path / "reached"
    with site.logged() as logged:
        with site.sending("GET", f"/hangs/?reached={reached}"):
            wait_until(reached.exists)
        wait_until(lambda: not reached.exists())
        assert site.get("/ok/?name=next").status == 200  # SQLite waits for the other's end
    assert names() == ["next"]
    assert logged() == ""


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("strict_site", ["gunicorn"], indirect=True)
def test_a_kept_connection_that_died_between_requests_is_replaced(strict_site, names):
    first, second = (strict_site.post("/pid/").text for _ in range(2))
    assert first == second
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
    answers = [strict_site.post(path) for path in ("/pid/", "/ok/", "/pid/")]
    assert [answer.status for answer in answers] == [200] * 3
    assert first != answers[0].text == answers[2].text
    assert names() == WRITTEN


# Sessions


@pytest.mark.parametrize("what", ["500", "404", "403"])
def test_the_session_of_a_view_that_raises_is_not_saved(site, what):
    answer = site.get(f"/changes_session/?what={what}")
    assert answer.status == int(what)
    assert answer.headers["Set-Cookie"] is None
    assert not Session.objects.exists()


@pytest.mark.parametrize("status", [200, 302, 409])
def test_the_session_of_a_view_that_returns_is_saved(site, status):
    answer = site.get(f"/changes_session/?status={status}")
    assert answer.status == status
    assert Session.objects.get().session_key in answer.headers["Set-Cookie"]


# Several databases


@pytest.mark.parametrize(
    ("query", "status", "written"),
    [
        ("", 200, WRITTEN),
        ("&status=302", 302, WRITTEN),
        ("&what=404", 404, []),
        ("&status=500", 500, []),
    ],
)
def test_all_databases_are_committed_or_none(site, both_names, query, status, written):
    assert site.get(f"/writes_both/?aliases=default,other{query}").status == status
    assert both_names() == {"default": written, "other": written}


@pytest.mark.usefixtures("postgres", "other_conflict")
@pytest.mark.parametrize(("method", "status", "again"), [("GET", 503, "2"), ("POST", 500, None)])
def test_who_has_committed_on_one_database_is_not_told_to_repeat_it(
    site, both_names, method, status, again
):
    with site.logged() as logged:
        answer = site.request(method, "/writes_both/?aliases=default,other")
    assert (answer.status, answer.headers["Retry-After"]) == (status, again)
    assert "Committed on ['default'], then failed" in logged()
    assert both_names() == {"default": WRITTEN, "other": []}


@pytest.mark.usefixtures("postgres", "other_conflict")
def test_a_database_that_was_not_used_does_not_count_as_committed(site, both_names):
    answer = site.post("/writes_both/?aliases=other")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert both_names() == {"default": [], "other": []}


@pytest.mark.parametrize("alias", ["default", "other"])
def test_a_database_that_is_not_used_gets_no_connection(site, both_names, alias):
    used = site.get(f"/writes_both/?aliases={alias}").json()
    assert {name for name in used if used[name]["connected"]} == {alias}
    assert all(found["in_transaction"] for found in used.values())
    assert both_names()[alias] == WRITTEN


def test_only_the_databases_of_the_setting_take_part(strict_site, both_names):
    used = strict_site.post("/writes_both/?aliases=default,other").json()
    assert {name for name in used if used[name]["in_transaction"]} == {"default"}
    assert strict_site.post("/writes_both/?aliases=default,other&name=x&what=500").status == 500
    assert both_names() == {"default": WRITTEN, "other": [*WRITTEN, "x"]}
