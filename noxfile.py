"""`nox` tests on every Python that is there, with new and old dependencies, and lints."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5"
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
TEST = nox.project.dependency_groups(PROJECT, "test")
COMPARE = nox.project.dependency_groups(PROJECT, "compare")
EXTRAS = ".[cli,arrow,plot,dask,dlt]"
RECIPES = nox.project.dependency_groups(PROJECT, "recipes")
DEV = nox.project.dependency_groups(PROJECT, "dev")


def lowest_and_newest_present(versions: Sequence[str]) -> list[str]:
    """The lowest version, and the newest of which there is an interpreter."""
    for version in reversed(versions[1:]):
        try:
            subprocess.run(  # noqa: S603
                [f"python{version}", "--version"], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return [versions[0], version]
    return [versions[0]]


def floors() -> Iterator[str]:
    """Each dependency, of the extras too, pinned to the lowest version that is allowed."""
    project = PROJECT["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        for text in group:
            requirement = Requirement(text)
            lowest = [s.version for s in requirement.specifier if s.operator == ">="]
            if requirement.name != project["name"]:
                yield f"{requirement.name}=={max(lowest)}"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests with the newest dependencies."""
    session.install("--upgrade", "-e", EXTRAS, *TEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=lowest_and_newest_present(PYTHONS))
def lowest(session: nox.Session) -> None:
    """The tests with the lowest dependencies that are allowed; pytest and the like are new."""
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(floors()) + "\n", encoding="utf-8")
    session.install("--upgrade", "-c", str(constraints), "-e", EXTRAS, *TEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def promises(session: nox.Session) -> None:
    """The promises with their full counts, and the table in the docs."""
    session.install("--upgrade", "-e", EXTRAS, *TEST, *COMPARE)
    figures = f"--figures={session.create_tmp()}/figures.json"
    session.run("python", "-m", "pytest", "tests/promises", "--full", figures, *session.posargs)
    session.run("python", "tests/promises/compare.py", figures, "--write", "docs/promises.md")


@nox.session(python=PYTHONS[0])
def spark(session: nox.Session) -> None:
    """What needs Spark, and so Java."""
    session.install("--upgrade", "-e", ".[spark]", *TEST)
    session.run("python", "-m", "pytest", "tests/engines", "-k", "spark", *session.posargs)


@nox.session(python=PYTHONS[0])
def recipes(session: nox.Session) -> None:
    """The recipes for Airflow and Dagster."""
    session.install("--upgrade", "-e", ".[arrow]", *TEST, *RECIPES)
    session.run("python", "-m", "pytest", "tests/engines/test_recipes.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def lint(session: nox.Session) -> None:
    """Ruff, mypy and pyright."""
    session.install("--upgrade", "-e", EXTRAS, "-e", ".[spark]", *DEV)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("pyright")
