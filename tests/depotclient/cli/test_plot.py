"""The command `depotclient plot`, as its user sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from depotclient.cli.app import app
from depotclient.cli.plot import find_in_ndjson
from depotclient.sandbox import DepotSandbox
from tests.support.commands import Command

pa = pytest.importorskip("pyarrow")
arrow = pytest.importorskip("depotclient.arrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("matplotlib")

Capture = pytest.CaptureFixture[str]

run = Command(app, "depotclient").run


def test_the_api_and_a_file_give_the_same_picture(
    depot: DepotSandbox, lake: Path, tmp_path: Path
) -> None:
    january = ("--from", "2026-01-01", "--to", "2026-02-01")
    session = str(depot.session_ids("CP-1", "1")[7])
    sources: list[tuple[str, ...]] = [("CP-1/1", *january)]
    for format_ in ("parquet", "ndjson"):
        assert run("export", str(lake), "CP-1/1", *january, "--format", format_) == 0
        (file,) = lake.rglob(f"reports.{format_}")
        sources.append(("--file", str(file)))
    pictures = set()
    for source in sources:
        assert run("plot", str(tmp_path / "a.svg"), *source, "--session", session) == 0
        pictures.add((tmp_path / "a.svg").read_bytes())
    assert len(pictures) == 1


def test_the_first_session_of_the_sandbox_is_the_default(tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "a.png"
    assert run("plot", str(picture), "--sandbox") == 0
    first = DepotSandbox().session_ids("CP-001", "1")[0]
    assert capsys.readouterr() == (f"session {first}: {picture}\n", "")
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("a.pdf", "CP-1/1"), ".png or .svg"),
        (("a.png",), "no connector to plot: add one, such as CP-001/1, or --file"),
        (("a.png", "CP-1/1", "--session", "7"), "there is no session 7 of CP-1/1 (12 others, "),
        (("a.png", "CP-1/1", "--to", "2020-01-01"), "of CP-1/1 (no sessions at all)"),
        (("a.png", "CP-1/1", "--file", "x.ndjson"), "--file can't be combined"),
        (("a.png", "--file", "x.csv"), "--file must be .parquet or .ndjson, got 'x.csv'"),
        (("a.png", "--file", "x.ndjson"), "No such file or directory: 'x.ndjson'"),
    ],
)
@pytest.mark.usefixtures("depot")
def test_an_invalid_argument_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    argv: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("plot", *argv) in {1, 2}
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_ndjson_file_has_session_reports_on_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "reports.ndjson"
    file.write_text('{"sessionId": 1, "sessionTimeStart": "2026-01-01T00:00:00Z"}\n{"a": 1}\n')
    report, ids = find_in_ndjson(file, 1)
    assert report is not None
    assert (report.session_time_start, ids) == (datetime(2026, 1, 1, tzinfo=UTC), [])
    with pytest.raises(ValueError, match=r"line 2 is not a session report: \$\.sessionId"):
        find_in_ndjson(file, 2)


@pytest.mark.parametrize(
    ("column", "values"), [("ocpp_status", [5]), ("session_time_start", ["soon"])]
)
def test_a_parquet_file_with_a_column_of_another_type_is_rejected(
    column: str, values: list[object], tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "reports.parquet"
    schema = arrow.SESSION_REPORTS
    table = pa.Table.from_pylist([dict.fromkeys(schema.names) | {"session_id": 1}], schema)
    table = table.set_column(schema.get_field_index(column), column, pa.array(values))
    parquet.write_table(table, file)
    assert run("plot", str(tmp_path / "a.png"), "--file", str(file)) == 2
    assert capsys.readouterr().err.startswith(f"error: {file} ")
