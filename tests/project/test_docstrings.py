"""The examples in the docstrings print what they show, against the sandboxes."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.commands import sandboxes
from thorclient.sandbox import ThorSandbox

PACKAGES = ("evtransport", "thorclient", "depotclient")
MODULES = (
    *(*PACKAGES, "evtransport.otel", "evtransport.testing"),
    *("thorclient.probe", "thorclient.sandbox"),
    *(f"depotclient.{name}" for name in ("arrow", "dask", "database", "dlt", "export")),
    *(f"depotclient.{name}" for name in ("partitions", "plot", "probe", "sandbox", "text")),
)
"""Modules whose names are public. `depotclient.spark` needs Java and is left out."""


METHODS_WITH_EXAMPLES = (
    "thorclient.ThorClient.",
    "depotclient.DepotClient.",
    "depotclient.Session",
)


def attributes_of(value: object, package: str) -> Iterator[tuple[str, object]]:
    """Yield the attributes of a class, with those that it inherits within its package."""
    for owner in inspect.getmro(value) if inspect.isclass(value) else ():
        if owner is value or owner.__module__.startswith(f"{package}."):
            yield from vars(owner).items()


def public_objects() -> dict[str, object]:
    """Return each public class, function and method by its name, under one name each."""
    found: dict[int, tuple[str, object]] = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value) and not isinstance(value, FunctionType):
                continue
            if not value.__module__.startswith(PACKAGES):
                continue
            found.setdefault(id(value), (f"{module.__name__}.{name}", value))
            for method, function in attributes_of(value, module.__name__):
                function = getattr(function, "__func__", function)
                if not method.startswith("_") and isinstance(function, FunctionType):
                    full_name = f"{module.__name__}.{name}.{method}"
                    found.setdefault(id(function), (full_name, function))
    return dict(found.values())


OBJECTS = public_objects()
EXAMPLES = {
    name: examples
    for name, value in OBJECTS.items()
    if (examples := doctest.DocTestParser().get_examples(inspect.getdoc(value) or "", name))
}


def namespace_of(name: str) -> dict[str, object]:
    """Return the public names of the clients and of the module of an object."""
    modules: list[ModuleType] = [importlib.import_module(package) for package in PACKAGES]
    module = inspect.getmodule(OBJECTS[name])
    assert module is not None
    names = {key: getattr(m, key) for m in modules for key in m.__all__}
    return {**names, **vars(module), "__name__": "__main__", "asyncio": asyncio}


def run_lines(
    example: doctest.Example, namespace: dict[str, object], runner: asyncio.Runner
) -> str:
    """Run an example as the REPL of asyncio does, and return its output."""
    output = io.StringIO()
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(example.source, "<example>", "single", flags, dont_inherit=True)
    with contextlib.redirect_stdout(output):
        result = FunctionType(code, namespace)()
        if inspect.iscoroutine(result):
            runner.run(result)
    return output.getvalue()


def run_all(examples: list[doctest.Example], namespace: dict[str, object]) -> None:
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with asyncio.Runner() as runner:
        for example in examples:
            got = run_lines(example, namespace, runner)
            matches = checker.check_output(example.want, got, flags)
            assert matches, f"{example.source}printed {got!r}, not {example.want!r}"


@pytest.fixture
def both_sandboxes(
    monkeypatch: pytest.MonkeyPatch, no_account: None, tmp_path: Path
) -> Iterator[None]:
    """Sandboxes that the environment names, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    with sandboxes(monkeypatch) as start:
        start(DepotSandbox(shape=ReportShape.small()))
        start(ThorSandbox())
        yield


def test_every_class_and_function_and_each_method_of_the_clients_has_an_example() -> None:
    methods_of_helpers = {
        name
        for name in OBJECTS
        if name.rpartition(".")[0] in OBJECTS and not name.startswith(METHODS_WITH_EXAMPLES)
    }
    assert OBJECTS.keys() - EXAMPLES.keys() - methods_of_helpers == set()


@pytest.mark.usefixtures("both_sandboxes")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_shows(name: str) -> None:
    run_all(EXAMPLES[name], namespace_of(name))
