"""Architecture: imports, sizes of modules and functions, public names, cost of an import."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = ("thorclient", "depotclient")
PACKAGES = ("evtransport", *CLIENTS)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES = 400
MAX_FUNCTION_LINES = 40
"""Most lines of a function without its docstring."""

SERVER = re.compile(r"evtransport/testing/\w+\.py|\w+/sandbox(/\w+)?\.py")
COMMAND_LINE = re.compile(r"\w+/(cli|cli/\w+|__main__|pytest_plugin)\.py")
MAY_IMPORT_AIOHTTP = re.compile(rf"evtransport/connection\.py|{SERVER.pattern}")
MAY_RUN_TASKS_IN_PAGING = {"evtransport/paging/driver.py"}

LAYERS = (
    re.compile(r"evtransport\b"),
    re.compile(r"(thorclient|depotclient)\b"),
    re.compile(r"depotclient\.arrow\b"),
    re.compile(r"depotclient\.(partitions|text)\b"),
    re.compile(r"depotclient\.copying\b"),
    re.compile(r"depotclient\.(export|database|dask|dlt|spark|plot)\b"),
    re.compile(r"(\w+\.)+(cli|__main__|pytest_plugin)\b"),
)
"""Modules from the core to the command lines. A module belongs to the last pattern it matches."""

EXTRAS = {"pyarrow", "matplotlib", "pandas", "dask", "distributed", "pyspark", "dlt", "typer"}
EXTRAS |= {"duckdb", "filelock", *(f"adbc_driver_{name}" for name in ("duckdb", "manager"))}
EXTRAS |= {f"adbc_driver_{name}" for name in ("postgresql", "sqlite")} | {"opentelemetry"}

LOCAL_IMPORTS = {
    # They import pyarrow.
    *("depotclient.arrow.batches", "depotclient.partitions.batches", "depotclient.export.parquet"),
    # The sandboxes are servers, and are loaded when a program names them.
    *("depotclient.sandbox", "thorclient.sandbox"),
}
"""Modules other than extras that a function may import."""

BOTH = {
    *("ApiError", "TransportError", "ConnectionFailed", "DeadlineExceeded", "StatusError"),
    *("RedirectError", "AuthError", "NotFoundError", "RateLimitedError", "ServerError"),
    *("ResponseError", "DecodeError", "SchemaError", "ResponseTooLarge", "PaginationError"),
    *("RetryPolicy", "Timeout"),
    *("Telemetry", "Call", "Attempt", "Retry", "TokenFetched", "PageRead", "Decoded", "Event"),
}
CONTRACT = {
    "evtransport": BOTH | {"ApiKey", "BearerToken", "ClientCredentials", "Secret", "Transport"},
    "thorclient": BOTH
    | {"ThorClient", "ThorSandbox", "Analytics", "RollingCounts", "Chargebox"}
    | {"APIKeyNotFound", "RestAPINotEnabled", "InvalidSourceIPAddr"}
    | {"ChargeboxNotFound", "InternalServerError"},
    "depotclient": BOTH
    | {"DepotClient", "DepotSandbox", "SessionReport", "Cursor"}
    | {"FileState", "FollowError", "FollowState"},
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a part of a file imports, under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            module = node.module or ""
            yield module
            # `from package import module` imports the module.
            yield from (f"{module}.{alias.name}" for alias in node.names if module in PACKAGES)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert isinstance(node.args[0], ast.Constant), f"{name_of(path)}: a computed import"
            yield str(node.args[0].value)


def functions_in(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def layer_of(module: str) -> int | None:
    layers = [number for number, pattern in enumerate(LAYERS) if pattern.match(module)]
    return layers[-1] if layers else None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_allows(path: Path) -> None:
    imports = set(imports_in(path, parse(path)))
    top_level = {name.partition(".")[0] for name in imports}
    name = name_of(path)
    assert not top_level & (set(CLIENTS) - {path.relative_to(ROOT).parts[0]})
    assert "aiohttp" not in top_level or MAY_IMPORT_AIOHTTP.fullmatch(name)
    if not COMMAND_LINE.fullmatch(name):
        assert not top_level & {"typer", "rich", "click"}
    if name.startswith("evtransport/paging/"):
        assert "asyncio" not in top_level or name in MAY_RUN_TASKS_IN_PAGING
    layer = layer_of(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    assert layer is not None
    assert [module for module in imports if (layer_of(module) or 0) > layer] == []


def test_functions_import_only_extras_except_in_command_lines() -> None:
    local_imports = {
        f"{name_of(path)}: {module}"
        for path in MODULES
        if not COMMAND_LINE.fullmatch(name_of(path))
        for function in functions_in(parse(path))
        for module in imports_in(path, function)
        if module.partition(".")[0] not in EXTRAS and module not in LOCAL_IMPORTS
    }
    assert local_imports == set()


def test_every_module_opens_with_a_docstring() -> None:
    without = [name_of(path) for path in MODULES + TESTS if not ast.get_docstring(parse(path))]
    assert without == []


def test_no_module_is_too_long() -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES + TESTS
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_function_is_too_long() -> None:
    lengths = {}
    for path in MODULES:
        for function in functions_in(parse(path)):
            first = function.body[0] if ast.get_docstring(function) else function
            start = first.end_lineno if first is not function else first.lineno - 1
            lengths[f"{name_of(path)}: {function.name}"] = (function.end_lineno or 0) - (start or 0)
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("package", CLIENTS)
def test_importing_a_client_loads_neither_extras_nor_sandboxes(package: str) -> None:
    unwanted = {
        *(EXTRAS | {"click", "rich", "pytest", "_pytest", "aiohttp.web"}),
        *(f"depotclient.{part}" for part in ("arrow", "database", "export", "plot", "partitions")),
        "depotclient.probe",
        *(f"depotclient.{part}" for part in ("dask", "spark", "dlt")),
        *("evtransport.testing.sandbox", "evtransport.cli.run"),
        *(f"{client}.{part}" for client in CLIENTS for part in ("sandbox", "cli")),
        *(client for client in CLIENTS if client != package),
    }
    # The dependencies may load any of these: `aiohttp.web`, for example.
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
def test_a_package_is_typed_and_has_the_version_of_the_distribution(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    version = importlib.import_module(package).__version__
    assert version == importlib.metadata.version("thor-depot-clients")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert version in re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_the_contract_and_all_its_public_names(package: str) -> None:
    module = importlib.import_module(package)
    names = module.__all__
    assert CONTRACT[package] <= set(names)
    assert [name for name in names if not hasattr(module, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = module.nonsense
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public - {"TYPE_CHECKING"} <= set(names)


def test_both_clients_export_the_same_objects_of_the_core() -> None:
    core, thor, depot = map(importlib.import_module, PACKAGES)
    for name in BOTH:
        assert getattr(thor, name) is getattr(depot, name) is getattr(core, name)
