import pytest
from django.contrib.auth.models import Group
from django.db import connection

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.middleware.site"),
]


@pytest.fixture(autouse=True)
def middleware(settings):
    settings.MIDDLEWARE = ["session_mgmt.middleware.AtomicRequestMiddleware"]


@pytest.fixture(autouse=True)
def errors_as_answers(client):
    client.raise_request_exception = False


def names():
    return sorted(Group.objects.values_list("name", flat=True))


@pytest.mark.parametrize(
    ("url", "status", "written"),
    [
        ("/ok/", 200, ["written"]),
        ("/ok/?status=302", 302, ["written"]),
        ("/ok/?status=409", 409, ["written"]),
        ("/ok/?status=500", 500, []),
        ("/raises/", 500, []),
        ("/raises/?what=404", 404, []),
        ("/raises/?what=403", 403, []),
        ("/handles/", 200, ["written"]),
        ("/hook_fails/", 200, ["later hook", "written"]),
        ("/non_atomic/", 500, ["written"]),
        ("/hook_without_query/", 200, ["written"]),
        ("/aok/", 200, ["written"]),
        ("/araises/", 500, []),
    ],
)
def test_what_a_view_does_decides_what_is_kept(client, url, status, written):
    response = client.get(url)
    assert response.status_code == status
    assert names() == written
    assert not connection.in_atomic_block
    assert "ensure_connection" not in vars(connection)


def test_a_swallowed_error_is_never_a_success(client):
    if connection.vendor != "postgresql":
        pytest.skip("a failed statement does not abort SQLite's transaction")
    assert client.get("/swallows/").status_code == 500
    assert client.get("/swallows/?status=409").status_code == 409
    assert names() == []


def test_a_stream_is_sent_after_the_commit(client):
    response = client.get("/streams/")
    assert b"".join(response.streaming_content) == b"False False\n1"


def test_a_view_without_a_query_takes_no_connection(client):
    connection.close()
    assert client.get("/no_query/").content == b"True"


def test_an_exception_that_an_outer_middleware_answers_has_been_rolled_back(client, settings):
    settings.MIDDLEWARE = ["tests.middleware.around.AnswerExceptions", *settings.MIDDLEWARE]
    assert client.get("/raises/?swallow=200").status_code == 200
    assert names() == []


def test_a_4xx_is_rolled_back_where_the_setting_says_so(client, settings):
    settings.SESSION_MGMT = {"ROLLBACK_ON_4XX": True}
    assert client.get("/ok/?status=409").status_code == 409
    assert names() == []


def test_a_safe_method_has_no_transaction_where_the_setting_says_so(client, settings):
    settings.SESSION_MGMT = {"ATOMIC_SAFE_METHODS": False}
    assert client.get("/ok/?status=500").status_code == 500
    assert names() == ["written"]
    assert client.post("/ok/?status=500&name=post").status_code == 500
    assert names() == ["written"]
