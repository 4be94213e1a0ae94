"""NDJSON files of an export: the vendor's bytes, and the sidecar with the manifest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox
from evtransport.atomic import write_atomically
from tests.support.exports import FIRST, Item, contents, export_first, ids_in, serving


async def test_lines_are_the_bytes_of_the_vendor_without_line_breaks(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    for gap in (b"", b"\r\n"):
        start = b'"sessionTimeStart": "2026-01-02T00:00:00Z"'
        report = b'{"sessionId": %d, "vehicleId": "BUS-\\ud83d", %s%s}' % (len(gap), gap, start)
        sandbox.add(*FIRST[0], report)

    await export_first(depot, tmp_path, format="ndjson")

    (path,) = tmp_path.rglob("*.ndjson")
    reports = [text.replace(b"\r\n", b" ") for text in sandbox.reports(*FIRST[0])]
    assert path.read_bytes().splitlines() == reports
    assert len(reports) == 62


async def test_each_report_without_a_valid_id_is_written_as_one_line(tmp_path: Path) -> None:
    items: list[Item] = [
        {"sessionId": bad, "vehicleId": vehicle, "sessionTimeStart": start}
        for bad in (None, "7c1d", 5.0)
        for vehicle in ("A", "B")
        for start in ("2026-01-10T00:00:00Z", None)
    ]
    async with serving([*items, *items[:2]]) as depot:
        for _ in range(2):
            await export_first(depot, tmp_path, to=None, format="ndjson")
            lines = b"".join(path.read_bytes() for path in tmp_path.rglob("*.ndjson")).splitlines()
            found = sorted(map(msgspec.json.decode, lines), key=repr)
            assert found == sorted(items, key=repr)


@pytest.mark.parametrize("change", [b"{}\n", b""])
async def test_lines_that_do_not_match_their_sidecar_are_read_again(
    depot: DepotClient, tmp_path: Path, change: bytes
) -> None:
    await export_first(depot, tmp_path, format="ndjson")
    before = contents(tmp_path)
    (path,) = tmp_path.rglob("*.ndjson")
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-9])
    await export_first(depot, tmp_path, format="ndjson")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("has_file", "successes"), [(False, 0), (True, 0), (True, 1)])
async def test_a_stop_between_lines_and_sidecar_loses_nothing(
    sandbox: DepotSandbox,
    depot: DepotClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_file: bool,
    successes: int,
) -> None:
    expected = sandbox.session_ids(*FIRST[0])
    if has_file:
        await export_first(depot, tmp_path, format="ndjson")
        sandbox.remove(*FIRST[0], expected[0])
    left = [None] * successes

    def write(path: Path, content: bytes, folder: Path) -> None:
        if not left:
            raise OSError("stopped")
        left.pop()
        write_atomically(path, content, folder)

    with monkeypatch.context() as patched:
        patched.setattr("depotclient.export.files.write_atomically", write)
        stopped = await export_first(depot, tmp_path, format="ndjson", refresh=True)
        assert str(stopped.error) == "stopped"
    export = await export_first(depot, tmp_path, format="ndjson", verify=True)
    assert (export.error, export.written) == (None, 1)
    assert sorted(ids_in(tmp_path).elements(), key=repr) == expected
