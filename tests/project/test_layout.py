"""The architecture: who imports whom, what a package promises, what importing it costs."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("evtransport", "thorclient", "depotclient")
CLIENTS = ("thorclient", "depotclient")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAY_IMPORT_AIOHTTP = re.compile(
    r"evtransport/(transport|connection|testing/\w+)\.py|\w+/sandbox(/\w+)?\.py"
)
PAGING = "evtransport/paging/"
MAY_IMPORT_ASYNCIO_IN_PAGING = {"evtransport/paging/driver.py"}
MAY_IMPORT_THE_CLI = re.compile(r"\w+/(cli|cli/\w+|__main__)\.py")

BOTH = {
    *("ApiError", "TransportError", "ConnectionFailed", "DeadlineExceeded", "StatusError"),
    *("RedirectError", "AuthError", "NotFoundError", "RateLimitedError", "ServerError"),
    *("ResponseError", "DecodeError", "SchemaError", "ResponseTooLarge", "PaginationError"),
    *("RetryPolicy", "Timeout"),
}
CONTRACT = {
    "evtransport": BOTH | {"ApiKey", "BearerToken", "ClientCredentials", "Secret", "Transport"},
    "thorclient": BOTH
    | {"ThorClient", "Analytics", "RollingCounts", "Chargebox"}
    | {"APIKeyNotFound", "RestAPINotEnabled", "InvalidSourceIPAddr"}
    | {"ChargeboxNotFound", "InternalServerError"},
    "depotclient": BOTH | {"DepotClient", "SessionReport", "Cursor"},
}
METHODS = {
    "thorclient.ThorClient": (
        *("from_env", "get_analytics", "get_chargebox", "get_analytics_many"),
        *("with_options", "aclose", "__aenter__", "__aexit__"),
    ),
    "depotclient.DepotClient": (
        *("from_env", "session_reports", "with_options", "aclose", "__aenter__", "__aexit__"),
    ),
    "depotclient.SessionReports": ("__aiter__", "pages", "walk", "collect"),
    "depotclient.Walk": ("__aiter__", "__anext__", "__aenter__", "__aexit__", "cursor"),
    "depotclient.Cursor": ("parse", "__str__"),
}


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """The modules that a file names in imports, anywhere in it, under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path)} imports relatively"
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert isinstance(node.args[0], ast.Constant), f"{place(path)}: a computed import"
            yield str(node.args[0].value)


def top_level_imports(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_module_imports_only_what_its_place_allows(path: Path) -> None:
    imported = top_level_imports(path)
    package = path.relative_to(ROOT).parts[0]
    others = set(CLIENTS) - {package}
    assert not imported & others
    assert "aiohttp" not in imported or MAY_IMPORT_AIOHTTP.fullmatch(place(path))
    if not MAY_IMPORT_THE_CLI.fullmatch(place(path)):
        assert not imported & {"typer", "rich", "click"}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if place(path).startswith(PAGING)], ids=place
)
def test_paging_does_no_io_and_only_its_driver_runs_tasks(path: Path) -> None:
    imported = top_level_imports(path)
    assert not imported & {"aiohttp", "depotclient", "thorclient"}
    assert "asyncio" not in imported or place(path) in MAY_IMPORT_ASYNCIO_IN_PAGING


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_module_opens_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", CLIENTS)
def test_importing_a_client_loads_neither_extras_nor_sandboxes(package: str) -> None:
    unwanted = {
        *("typer", "click", "rich", "pytest", "_pytest", "aiohttp.web", "stamina", "tenacity"),
        *("pyarrow", "matplotlib", "pandas", "dask", "distributed", "pyspark", "dlt"),
        *(f"depotclient.{part}" for part in ("arrow", "export", "plot", "partitions")),
        *(f"depotclient.{part}" for part in ("dask", "spark", "dlt")),
        *("evtransport.testing.sandbox", "evtransport.cli.base"),
        *(f"{client}.{part}" for client in CLIENTS for part in ("sandbox", "cli")),
        *(client for client in CLIENTS if client != package),
    }
    # What the dependencies load is theirs; `aiohttp.web` may be among it.
    code = (
        "import sys, aiohttp, attrs, cattrs, msgspec, yarl\n"
        "before = set(sys.modules)\n"
        f"import {package}\n"
        f"print(*(set(sys.modules) - before) & {unwanted!r})\n"
    )
    loaded = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_version_is_that_of_the_distribution(package: str) -> None:
    stated = importlib.import_module(package).__version__
    assert stated == importlib.metadata.version("thor-depot-clients")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_contract_can_be_imported(package: str) -> None:
    assert CONTRACT[package] <= set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("path", METHODS)
def test_the_classes_of_the_contract_have_their_methods(path: str) -> None:
    package, name = path.split(".")
    cls = getattr(importlib.import_module(package), name)
    assert [method for method in METHODS[path] if not hasattr(cls, method)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_true(package: str) -> None:
    module = importlib.import_module(package)
    names = module.__all__
    # Constants, classes, then the rest, as ruff sorts them.
    ranks = {name: (0 if name.isupper() else 1 if name[0].isupper() else 2) for name in names}
    assert names == sorted(set(names), key=lambda name: (ranks[name], name))
    assert [name for name in names if not hasattr(module, name)] == []
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public <= set(names)


def test_what_both_clients_offer_is_the_same_object() -> None:
    core, thor, depot = map(importlib.import_module, PACKAGES)
    for name in BOTH:
        assert getattr(thor, name) is getattr(depot, name) is getattr(core, name)


def test_the_change_log_knows_the_version() -> None:
    stated = importlib.import_module("evtransport").__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert stated in headings
