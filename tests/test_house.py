"""The house rules that no linter knows: small files, small functions, one place for settings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager2"}


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return [path for path in found if path.parent.name != "migrations"]


SOURCES = files("session_mgmt", "example_project")
LIBRARY = files("session_mgmt")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def longest(path: Path) -> int:
    if path.is_relative_to(ROOT / "tests"):
        return 400
    return 80 if path.parent.name == "commands" else 250


@pytest.mark.parametrize("path", [*SOURCES, *files("tests")], ids=name)
def test_a_file_is_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= longest(path)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_is_at_most_40_lines_long(path: Path) -> None:
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {function: length for function, length in lengths.items() if length > 40} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_not_named_after_nothing(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_a_module_says_what_it_offers(path: Path) -> None:
    tree = parse(path)
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    # A package without a word in it, and a command, which Django finds by its file, offer nothing.
    silent = len(tree.body) <= 1 or path.parent.name == "commands"
    assert silent or "__all__" in names


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_settings_are_read_in_conf_alone(path: Path) -> None:
    imported = {
        alias.name
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.module == "django.conf"
        for alias in node.names
    }
    assert path.name == "conf.py" or "settings" not in imported
