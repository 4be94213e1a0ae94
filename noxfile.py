"""Sessions of nox: tests, old and new dependencies, linters, the wheel, and nightly checks."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "lowest", "no_extensions", "lint", "package", "docs"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST = PYTHONS[0]
EXTRAS = ".[cli,arrow,plot,dask,dlt,database,otel]"
TEST = nox.project.dependency_groups(PROJECT, "test")
BENCHMARK = nox.project.dependency_groups(PROJECT, "benchmark")
RECIPES = nox.project.dependency_groups(PROJECT, "recipes")
DOCS = nox.project.dependency_groups(PROJECT, "docs")
DEV = nox.project.dependency_groups(PROJECT, "dev")

READS_SOCKETS = (
    *("tests/evtransport/test_transport.py", "tests/evtransport/test_connection.py"),
    *("tests/promises/test_r01_faults.py", "tests/promises/test_r12_truncated_bodies.py"),
)
"""Tests of code that behaves differently without aiohttp's C extensions."""


def lowest_and_newest_present(versions: Sequence[str]) -> list[str]:
    """Return the lowest version, and the newest one whose interpreter is installed."""
    for version in reversed(versions[1:]):
        try:
            subprocess.run(  # noqa: S603
                [f"python{version}", "--version"], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return [versions[0], version]
    return [versions[0]]


def lowest_versions() -> Iterator[str]:
    """Yield each dependency, pinned to the lowest allowed version."""
    project = PROJECT["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        for text in group:
            requirement = Requirement(text)
            lowest = [s.version for s in requirement.specifier if s.operator == ">="]
            if requirement.name != project["name"]:
                yield f"{requirement.name}=={max(lowest)}"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the newest dependencies."""
    session.install("--upgrade", "-e", EXTRAS, *TEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=lowest_and_newest_present(PYTHONS))
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest allowed dependencies."""
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(lowest_versions()) + "\n", encoding="utf-8")
    session.install("-c", str(constraints), "-e", EXTRAS, *TEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=OLDEST)
def no_extensions(session: nox.Session) -> None:
    """Run the tests that read sockets without aiohttp's C extensions."""
    session.install("-e", EXTRAS, *TEST)
    session.run("python", "-m", "pytest", *READS_SOCKETS, env={"AIOHTTP_NO_EXTENSIONS": "1"})


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Run ruff, mypy and pyright."""
    session.install("-e", EXTRAS, "-e", ".[spark]", *DEV)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")


@nox.session(python=OLDEST)
def package(session: nox.Session) -> None:
    """Build a wheel from the source distribution, and check it in an empty environment."""
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    (wheel,) = dist.glob("*.whl")
    check = str(Path("tests/project/check_wheel.py").resolve())
    session.chdir(dist)
    session.install("--force-reinstall", str(wheel))
    session.run("python", "-I", check)
    session.install(f"{wheel}[cli]")
    session.run("depotclient", "reports", "CP-001/1", "--sandbox", "--json", silent=True)
    session.run("thorclient", "analytics", "TB-0001", "TB-0002", "--sandbox", "--json", silent=True)


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the documentation into build/site, and open it in a browser."""
    session.install("-e", EXTRAS, *TEST, *DOCS)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-E", "docs", "build/site")
    session.run("python", "-m", "pytest", "-n0", "-m", "", "tests/project/test_site.py")


@nox.session(python=OLDEST, default=False)
def promises(session: nox.Session) -> None:
    """Measure the promises with their full counts, and update their page in the docs."""
    session.install("-e", EXTRAS, *TEST, *BENCHMARK)
    figures = f"--figures={session.create_tmp()}/figures.json"
    command = ("python", "-m", "pytest", "tests/promises", "-n0", "-m", "", "--full")
    session.run(*command, figures, *session.posargs)
    session.run("python", "tests/promises/compare.py", figures, "--write")


@nox.session(python=OLDEST, default=False)
def spark(session: nox.Session) -> None:
    """Run the tests that need Spark and Java."""
    session.install("-e", ".[spark]", *TEST)
    session.run("python", "-m", "pytest", "tests/engines", "-n0", "-m", "", "-k", "spark")


@nox.session(python=OLDEST, default=False)
def recipes(session: nox.Session) -> None:
    """Run the recipes for Airflow and Dagster."""
    session.install("-e", ".[arrow]", *TEST, *RECIPES)
    session.run("python", "-m", "pytest", "tests/engines/test_recipes.py", "-n0", "-m", "")


def nightly_checks() -> dict[str, tuple[str, ...]]:
    """Return the commands of the nightly checks by name. A nox session has an empty command."""
    pytest = ("python", "-m", "pytest", "-n0", "--hypothesis-profile=nightly")
    folders = sorted(path for path in Path("tests").iterdir() if any(path.rglob("test_*.py")))
    promises: dict[int, list[str]] = {}
    for path in sorted(Path("tests/promises").glob("test_r[0-9]*.py")):
        promises.setdefault(int(path.stem[6:8]), []).append(str(path))
    return {
        **{f"slow tests in {path}": (*pytest, str(path), "-m", "slow") for path in folders},
        **{
            f"promise R{number}": (*pytest, *paths, "-m", "", "--full", "--soak=60")
            for number, paths in promises.items()
        },
        **{
            f"comparison R{number}": ("python", "tests/promises/compare.py", f"R{number}")
            for number in promises
            if number not in {14, 16}  # which have no loop to compare with
        },
        **{
            f"benchmark W{number}": (
                *("python", "benchmarks/run.py", "--short", "--only", f"W{number}"),
                *("--share", "0.8", "--again", "3"),
            )
            for number in range(1, 12)
        },
        **dict.fromkeys(["spark", "recipes", *(f"tests-{python}" for python in PYTHONS[1:])], ()),
    }


@nox.session(python=OLDEST, default=False)
def nightly(session: nox.Session) -> None:
    """Run the slow checks: all, or a random share: `nox -s nightly -- SHARE [SEED]`."""
    checks = nightly_checks()
    share = float(session.posargs[0]) if session.posargs else 1.0
    seed = int(session.posargs[1]) if session.posargs[1:] else random.randrange(10_000)  # noqa: S311
    count = max(1, round(share * len(checks)))
    drawn = random.Random(seed).sample(sorted(checks), count)  # noqa: S311
    session.log(f"nox -s nightly -- {share} {seed} runs: {', '.join(drawn)}")
    session.install("-e", EXTRAS, *TEST, *BENCHMARK)
    for name in drawn:
        session.log(name)
        if checks[name]:
            # pytest exits with 5 if no test of a folder is slow.
            session.run(*checks[name], success_codes=[0, 5] if "slow" in name else [0])
        else:
            session.notify(name, posargs=[])
