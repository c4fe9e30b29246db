"""Secrets go from texts that are stored and logged, and what is none stays readable."""

import time

import pytest

from session_mgmt.redaction import redacted

SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://user:{SECRET}@host/name",
        f"redis://:{SECRET}@host",
        f"amqp://user:p@ss:{SECRET}@host//",
        f"amqp://user:pa/ss/{SECRET}@host",
        f"https://{SECRET}@host",
        f"password={SECRET}",
        f"password = '{SECRET}'",
        f"password='a b {SECRET}' host=x",
        f"password='a\\' {SECRET}'",
        f"DB_PASS={SECRET}",
        f"PASSWORD '{SECRET}'",
        f"passphrase: {SECRET}",
        f"{{'password': b'{SECRET}'}}",
        f"{{'password' => '{SECRET}'}}",
        f"passwords=['{SECRET}']",
        f'{{"api_key": "{SECRET}", "n": 1}}',
        f'{{"password": "ab\\"{SECRET}"}}',
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f"('X-Api-Key', '{SECRET}')",
        f"https://a.test/?token={SECRET}&x=1",
        f"https://a.test/?sv=1&sig={SECRET}",
        "token=123456789:AAHhunter2secret",
        f"password=123456-{SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Token {SECRET}",
        f"Bearer {SECRET}",
        f"Cookie: sessionid={SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"got eyJhbGciOiJI.eyJzdWIiOiIx.{SECRET}",
        f"key ghp_{SECRET}",
        f"IntegrityError\nDETAIL:  Failing row contains (1,\n {SECRET}).\nCONTEXT: x",
    ],
)
def test_what_looks_like_a_secret_goes(text):
    cleaned = redacted(f"before {text} after")
    assert SECRET not in cleaned
    assert "********" in cleaned
    assert cleaned.startswith("before ")


def test_a_number_can_be_a_password():
    assert "12345678" not in redacted("password=12345678")


@pytest.mark.parametrize(
    "text",
    [
        "max tokens: 4096 exceeded",
        "tokens=12, chars=40",
        "the password is wrong",
        "invalid token, try again",
        "https://a.test/x?page=2#end",
        "basic authentication failed",
        "bypass: yes",
        "it passed: 3 of 4",
        "File '/srv/site/views.py', line 3",
        "KeyError: 'title'",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


def test_the_values_of_settings_go_wherever_they_are(settings):
    settings.SERVICE = {"OPTIONS": [{"API_KEY": "canary-one"}]}
    settings.API_KEYS = {"stripe": "canary-two", "again": {"canary-three"}}
    settings.SERVICE["itself"] = settings.SERVICE
    settings.PLAIN = "canary-four"
    cleaned = redacted("canary-one canary-two canary-three canary-four")
    assert cleaned == "******** ******** ******** canary-four"


@pytest.mark.parametrize(
    "piece", ["x", "a.a-", "password", '"', "password=", "://", "a://b:", 'token"', "DETAIL: \n"]
)
def test_a_long_text_takes_no_long_time(piece):
    started = time.process_time()
    assert len(redacted(piece * 3_000_000)) < 1_000_000
    assert time.process_time() - started < 10, "it would take hours if it grew with the square"
