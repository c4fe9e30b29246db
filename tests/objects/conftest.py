"""An engine of its own for each test, in the database or in memory."""

import pytest

from session_mgmt.objects import OaasConfig, configure_oaas, get_global_oaas


def configured(**options):
    """Configure the engine that everybody uses, and return its manager."""
    configure_oaas(OaasConfig(**options))
    return get_global_oaas().manager


@pytest.fixture(autouse=True)
def _start_afresh(request):
    if request.node.get_closest_marker("django_db") or "transactional_db" in request.fixturenames:
        request.getfixturevalue("transactional_db")  # so that it goes after this
    yield
    configure_oaas(OaasConfig(mock_mode=True, auto_commit=False))


@pytest.fixture
def by_hand(transactional_db):
    """Objects in the database, committed only when asked to."""
    return configured(auto_commit=False)


@pytest.fixture
def in_background(transactional_db):
    """Objects in the database, committed in the background."""
    return configured(auto_commit_interval=0.05)


@pytest.fixture(
    params=["memory", pytest.param("database", marks=pytest.mark.django_db(transaction=True))]
)
def store(request):
    """Objects in memory, and in the database, committed only when asked to."""
    return configured(mock_mode=request.param == "memory", auto_commit=False)
