"""Client that openapi-python-client generates from a description of the API."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import msgspec

from benchmarks.candidates import base
from benchmarks.candidates.loops import make_struct
from benchmarks.candidates.models import Field, translate
from depotclient.models import SessionReport

PACKAGE = "depot_generated"
FOLDER = Path(__file__).parent / ".generated"


def make_plain_struct(name: str, fields: list[Field]) -> type:
    """Return a struct without nullable fields: they make the generated code slower."""
    plain = [(n, get_args(h)[0] if type(None) in get_args(h) else h, r) for n, h, r in fields]
    return make_struct(name, plain)


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI description of the session reports."""
    report = translate(SessionReport, make_plain_struct)
    page = make_struct("Page", [("items", list[report], True)])  # type: ignore[valid-type]
    (reference,), schemas = msgspec.json.schema_components(
        [page], ref_template="#/components/schemas/{name}"
    )
    query = {"chargerId": "string", "connectorId": "string", "page": "integer", "limit": "integer"}
    operation = {
        "operationId": "getSessionReports",
        "parameters": [
            {"name": name, "in": "query", "required": True, "schema": {"type": kind}}
            for name, kind in query.items()
        ],
        "responses": {
            "200": {"description": "Page", "content": {"application/json": {"schema": reference}}}
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Depot", "version": "1"},
        "paths": {"/sessionReports": {"get": operation}},
        "components": {"schemas": schemas},
    }


@cache
def generate() -> None:
    """Generate the client, unless it already exists, and make it importable."""
    description = FOLDER / "openapi.json"
    text = json.dumps(describe_api())
    if not description.exists() or description.read_text(encoding="utf-8") != text:
        FOLDER.mkdir(exist_ok=True)
        config = FOLDER / "config.json"
        config.write_text(json.dumps({"post_hooks": []}), encoding="utf-8")
        source = FOLDER / "new.json"
        source.write_text(text, encoding="utf-8")
        subprocess.run(  # noqa: S603
            [
                *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
                *("--path", str(source), "--config", str(config), "--overwrite"),
                *("--output-path", str(FOLDER / PACKAGE)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        source.replace(description)
    sys.path.append(str(FOLDER))


class Generated(base.Candidate):
    """Generated models, and the generated call over httpx in a loop."""

    def module(self, name: str) -> Any:
        """Return a module of the generated package."""
        generate()
        return import_module(f"{PACKAGE}.{name}")

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        from_dict = self.module("models").SessionReport.from_dict
        return base.decode_each(lambda report: from_dict(json.loads(report)), reports)

    @asynccontextmanager
    async def depot(
        self, access: base.Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[base.Walk, None]:
        call = self.module("api.default.get_session_reports").asyncio
        client = self.module("client").AuthenticatedClient(
            access.base_url, token=access.credential, timeout=None
        )
        async with client:

            async def fetch(query: dict[str, str | int]) -> Sequence[object]:
                page = await call(
                    client=client,
                    charger_id=query["chargerId"],
                    connector_id=query["connectorId"],
                    page=query["page"],
                    limit=query["limit"],
                )
                return page.items or ()

            yield partial(base.walk_pages, fetch)


GENERATED = Generated()
