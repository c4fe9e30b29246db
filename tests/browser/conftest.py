"""A real browser on a real server with a real worker, on the test's database."""

import os
import shutil
import socket
import urllib.request
from contextlib import ExitStack, suppress

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import sync_playwright

from tests.processes import running, wait_until

SLOW_ENOUGH_TO_WATCH = "0.4"


@pytest.fixture(scope="session")
def chromium():
    """Return the path of Chromium; on CI it must be there."""
    path = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        message = "Chromium is not installed; name it in the variable CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture
def browser(chromium, site):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


# While Playwright is there its event loop runs in this thread; Django would refuse to work in it.
@pytest.fixture(autouse=True)
def allow_database_beside_playwright(monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def answers(url):
    with suppress(OSError):
        return urllib.request.urlopen(url, timeout=5).status == 200  # noqa: S310 # our own server
    return False


@pytest.fixture
def site(transactional_db):
    """Serve the site with a worker; return its address."""
    get_user_model().objects.create_user("demo", password="demo")  # a demo's
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = ["-m", "uvicorn", "example_project.asgi:application", "--port", str(port)]
    worker = ["manage.py", "db_worker", "--interval", "0.1", "--no-startup-delay"]
    with ExitStack() as stack:
        stack.enter_context(running(*server, "--log-level", "warning", SESSION_MGMT_DEMO="1"))
        stack.enter_context(running(*worker, STORYBOARD_SECONDS_PER_SCENE=SLOW_ENOUGH_TO_WATCH))
        wait_until(lambda: answers(f"{address}/accounts/login/"))
        yield address


@pytest.fixture
def open_page(site, browser):
    """Return a function that logs in and gives a page whose script errors fail the test."""
    contexts, errors = [], []

    def complain(message):
        # Chromium counts an answer 400 as an error; whether it is one, the test says.
        if message.type == "error" and "status of 400" not in message.text:
            errors.append(message.text)

    def open_one(**options):
        context = browser.new_context(base_url=site, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", complain)
        page.goto("/")
        page.get_by_label("Username").fill("demo")
        page.get_by_label("Password").fill("demo")
        page.get_by_role("button", name="Log in").click()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
