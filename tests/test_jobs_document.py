"""The examples of docs/jobs.md run as they stand, and its tables say what the code does."""

import contextlib
import io
import re
from datetime import timedelta

import pytest

from session_mgmt.conf import AppSettings
from session_mgmt.jobs import JobContext
from session_mgmt.jobs import handlers as registry
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs/jobs.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S))
UNITS = {"s": 1, "min": 60}


def rows(section):
    lines = re.findall(r"^\| (.*) \|$", SECTIONS[section], re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


@pytest.mark.django_db(transaction=True)
def test_the_examples_run_and_print_what_they_say(monkeypatch):
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    names = {"__name__": "jobs_document"}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.S):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(block, "docs/jobs.md", "exec"), names)  # noqa: S102 # our own document
        expected = re.findall(r"^ *print\(.*\n *# (.*)$", block, re.M)
        assert output.getvalue().splitlines() == expected, block


def test_the_table_of_the_context_names_what_there_is():
    cells = " ".join(first for first, *_ in rows("The handler"))
    named = set(re.findall(r"`job\.(\w+)", cells))
    public = {name for name in vars(JobContext) if not name.startswith("_")} | {"job"}
    assert named == public


def test_the_table_of_settings_says_the_defaults():
    defaults = AppSettings()
    for cell, value, _ in rows("Settings")[1:]:
        real = getattr(defaults, cell.strip("`"))
        if isinstance(real, timedelta):
            number, unit = value.split()
            assert real == timedelta(seconds=float(number) * UNITS[unit])
        else:
            assert value == f"`{real}`"


def test_every_link_within_leads_somewhere():
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in SECTIONS}
    assert set(re.findall(r"\]\(#([\w-]+)\)", DOCUMENT)) <= anchors
