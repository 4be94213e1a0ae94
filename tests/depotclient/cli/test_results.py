"""Results of the commands that copy reports, as their user reads them."""

from __future__ import annotations

import msgspec
import pytest

from depotclient.cli.results import describe_changes, encode_result, next_steps
from depotclient.export import ConnectorExport, Export
from evtransport import ApiError, ConnectionFailed, NotFoundError, SchemaError, ServerError

PERMANENT = "the same command fails again for CP-1/1: correct the cause first"
TEMPORARY = "run the same command again to complete them"


def failed(charger_id: str, error: ApiError | OSError) -> ConnectorExport:
    return ConnectorExport(charger_id, "1", 1, missing=1, error=error)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotFoundError("", status=404), PERMANENT),
        (SchemaError(("",)), PERMANENT),
        (FileExistsError(), PERMANENT),
        (ServerError("", status=503), TEMPORARY),
        (ConnectionFailed(), TEMPORARY),
        (OSError(28, "No space left on device"), TEMPORARY),
    ],
)
def test_the_same_command_is_advised_only_if_it_may_succeed(
    error: ApiError | OSError, advice: str
) -> None:
    complete = ConnectorExport("CP-2", "1", 1, written=1)
    lines = list(next_steps(Export((failed("CP-1", error), complete))))
    assert lines == ["1 of 2 connectors are not complete", advice]
    assert list(next_steps(Export((complete,)))) == []


def test_only_a_few_of_many_failed_connectors_are_named() -> None:
    permanent = [failed(f"CP-{n}", NotFoundError("", status=404)) for n in range(7)]
    _, *lines = next_steps(Export((*permanent, failed("CP-8", ConnectionFailed()))))
    names = "CP-0/1, CP-1/1, CP-2/1, CP-3/1, CP-4/1 and 2 more"
    assert lines == [PERMANENT.replace("CP-1/1", names), TEMPORARY.replace("them", "the others")]


def test_the_name_of_a_folder_may_have_bytes_that_are_not_utf8() -> None:
    result = encode_result(failed("CP-1", FileExistsError("lake-\udcff is in the way")))
    assert msgspec.json.decode(result)["error"] == "lake-\\udcff is in the way"


CHANGED = ConnectorExport(
    "CP-1",
    "1",
    1,
    written=1,
    moved=(1,),
    vanished=(2, None, -1, 3, 4, 5),
    strays=(6, 7),
    unknown_fields={"tariff": 1200, "errors[].hint": 1},
)


def test_unexpected_sessions_and_fields_are_counted_and_some_are_named() -> None:
    other = ConnectorExport("CP-1", "2", 1, vanished=(8,), unknown_fields={"tariff": 34})
    vanished = "2 at CP-1/1, (no id) at CP-1/1, -1 at CP-1/1, 3 at CP-1/1, 4 at CP-1/1 and 2 more"
    kept = "kept (--accept-deletions removes them)"
    lines = list(describe_changes(Export((CHANGED, other)), accept_deletions=False))
    assert lines == [
        "1 session moved to another start: 1 at CP-1/1",
        f"7 sessions no longer on the server, and {kept}: {vanished}",
        "2 sessions without a start in the time span: 6 at CP-1/1, 7 at CP-1/1",
        "fields that have no column, by number of reports: errors[].hint (1), tariff (1,234)",
    ]
    _, removed, *_ = describe_changes(Export((CHANGED, other)), accept_deletions=True)
    assert removed == f"7 sessions no longer on the server, and removed: {vanished}"
