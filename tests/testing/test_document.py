"""The examples of docs/testing.md run as they stand, in a project made of them."""

import re

from tests.processes import ROOT

BLOCKS = {
    re.match(r"# (\S+)\n", code)[1]: code
    for code in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/testing.md").read_text(encoding="utf-8"), re.S
    )
}


def count_tests(paths):
    return sum(len(re.findall(r"^ *def test_", BLOCKS[path], re.M)) for path in paths)


def test_the_examples_run_with_pytest(project):
    for path, code in BLOCKS.items():
        project.write(path, code)
    code, output = project.pytest(own_database=True)
    assert code == 0, output
    assert f" {count_tests(BLOCKS)} passed" in output


def test_the_examples_for_unittest_run_under_manage_py_test(project):
    project.write("stories/tests.py", BLOCKS["stories/tests.py"])
    code, output = project.run("-m", "django", "test", "--keepdb", "--noinput")
    assert code == 0, output
    assert f"Ran {count_tests(['stories/tests.py'])} tests" in output
