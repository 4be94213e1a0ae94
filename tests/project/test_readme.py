"""The README quotes its examples, and its commands print what it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

import depotclient.cli.app
from tests.support.commands import Command, Terminal
from tests.support.examples import EXAMPLES, ROOT, RunExample

README = (ROOT / "README.md").read_text(encoding="utf-8")
DEPOT = Command(depotclient.cli.app.app, "depotclient")

LOAD_COMMAND = ".venv/bin/depotclient load depot.duckdb --from 2026-01-01 --to 2026-02-01 --sandbox"
QUESTION = (
    "import duckdb; duckdb.connect('depot.duckdb').sql('SELECT vehicle_id, count(*) AS sessions,"
    " round(sum(energy_kwh)) AS kwh FROM sessions GROUP BY ALL ORDER BY kwh DESC LIMIT 3').show()"
)
MAIN_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install '.[cli,arrow,plot,database]'"
    " && .venv/bin/depotclient export lake --from 2026-01-01 --to 2026-02-01 --sandbox"
)
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install --upgrade pip"
    " && .venv/bin/pip install -e '.[cli,arrow,plot,dask,dlt,database,otel]' --group test"
    " && .venv/bin/python -m pytest"
)

BLOCK = re.compile(r"<!-- examples/(\w+)\.py -->\n```python\n(.*?)\n```\n", re.DOTALL)
LINES = re.compile(r"<!-- lines of examples/(\w+)\.py -->\n```python\n(.*?\n)```\n", re.DOTALL)
FUTURE = "from __future__ import annotations"


@pytest.mark.parametrize(("name", "block"), BLOCK.findall(README))
def test_a_block_is_its_example_with_all_imports(name: str, block: str) -> None:
    _, _, code = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").partition(FUTURE)
    assert block == code.strip()


@pytest.mark.parametrize(("name", "lines"), LINES.findall(README))
def test_a_block_of_lines_is_part_of_its_example(name: str, lines: str) -> None:
    code = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert any(indent(lines, "    " * depth) in code for depth in range(4))


def test_every_python_block_is_from_an_example() -> None:
    blocks = [*BLOCK.findall(README), *LINES.findall(README)]
    assert README.count("```python") == len(blocks)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 160


def test_the_documentation_shows_every_example() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    examples = [path.relative_to(ROOT).as_posix() for path in EXAMPLES.rglob("*.py")]
    assert [name for name in examples if name not in pages] == []


@pytest.mark.parametrize(
    "command", [MAIN_COMMAND, LOAD_COMMAND, f'.venv/bin/python -c "{QUESTION}"', TEST_COMMAND]
)
def test_the_readme_and_ci_have_each_command_once(command: str) -> None:
    assert README.splitlines().count(command) == 1
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]),
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def lines_of_output(start: str) -> list[str]:
    """Return the lines of the output in the README that starts like this."""
    (block,) = re.findall(
        rf"^```text\n({re.escape(start)}.*?)\n```$", README, re.DOTALL | re.MULTILINE
    )
    return [line for line in str(block).splitlines() if line != "..."]


def run_on_terminal(monkeypatch: pytest.MonkeyPatch, *argv: str) -> str:
    """Return the output of a command on a terminal of 80 columns, without escape sequences."""
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert DEPOT.run(*argv) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text)


def test_the_commands_print_what_the_readme_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_example: RunExample
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    lake = str(tmp_path / "lake")
    span = ("--from", "2026-01-01", "--to", "2026-02-01", "--sandbox")
    text = run_on_terminal(monkeypatch, "export", lake, *span)
    for line in lines_of_output("Connector "):
        assert line in text


def test_the_database_names_three_vehicles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert DEPOT.run(*LOAD_COMMAND.split()[1:]) == 0
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", QUESTION], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("BUS-0") == 3


def test_the_command_draws_the_picture_of_the_readme(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    argv = "plot session.png CP-001/1 --session 100000004 --sandbox"
    assert f".venv/bin/depotclient {argv}`" in README
    monkeypatch.chdir(tmp_path)
    assert DEPOT.run(*argv.split()) == 0
    sizes = [
        int.from_bytes(png.read_bytes()[16:24])
        for png in (tmp_path / "session.png", ROOT / "docs" / "session.png")
    ]
    assert sizes[0] == sizes[1]
