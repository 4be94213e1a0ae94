"""Limits that a server honours, clamps and refuses, without I/O."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from depotclient.probe.experiment import PageResponse, ProbeRequest
from depotclient.probe.limits import LimitFindings, LimitProbe, choose_limit
from depotclient.probe.sample import read_sample
from evtransport.measurements import Finding
from tests.support.probing import FAILED, WINDOW, Account, Respond, run, sessions

SMALL = ProbeRequest(WINDOW, 1000, 10)
"""Request for a page after the last report."""


def found(respond: Respond, small: ProbeRequest | None = SMALL) -> LimitFindings:
    """Return what a probe finds after an account without failures has been sampled."""
    sample = run(read_sample([WINDOW]), respond)
    probe = LimitProbe(sample, small, "ascending", ignore_page=False, past_the_end="empty")
    return run(probe.find(), respond)


def refusing(account: Account, low: int, high: int, status: int = 400) -> Respond:
    """Return an account that refuses the limits outside of a range."""

    def respond(request: ProbeRequest) -> PageResponse:
        if low <= request.limit <= high:
            return account(request)
        return PageResponse(status, None)

    return respond


def failing(respond: Respond, *limits: int) -> Respond:
    """Return an account whose responses for some limits fail."""
    return lambda request: FAILED if request.limit in limits else respond(request)


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (Account(sessions(300), 25), (1, 25, None, "clamp", "honoured")),
        (Account(sessions(300), 2), (1, 2, None, "clamp", "honoured")),
        (Account(sessions(2500), 2000), (1, 2000, None, "clamp", "honoured")),
        (Account(sessions(2500), 3000), (1, None, None, None, "honoured")),
        (refusing(Account(sessions(300)), 7, 90), (7, 90, 400, 400, "honoured")),
        (refusing(Account(sessions(300)), 1, 10), (1, 10, None, 400, "honoured")),
        # Limits up to 2,000 are accepted, and those above 50 are lowered.
        (refusing(Account(sessions(300), 50), 1, 2000), (1, 50, None, "clamp", "honoured")),
        (Account(sessions(10)), (1, None, None, None, "honoured")),
        (Account(), (None, None, None, None, None)),
    ],
)
def test_the_limits_of_an_account_are_found(respond: Respond, expected: tuple[object, ...]) -> None:
    limits = found(respond)
    assert expected == tuple(finding.value for finding in attrs.astuple(limits, recurse=False))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda request: PageResponse(422, None), 422),
        (lambda request: Account(sessions(30))(request), "clamp"),
        (lambda request: Account(sessions(33))(request), None),
    ],
)
def test_an_odd_limit_may_be_smaller_than_the_first_page(answer: Respond, expected: object) -> None:
    accepting = refusing(Account(sessions(45)), 25, 2000)
    # A page of all sessions exceeds 39. Its multiple of 10 is no other multiple, such as one of 5.
    limits = found(lambda r: answer(r) if 30 < r.limit < 40 else accepting(r))
    assert (limits.min_limit.value, limits.odd_limits.value) == (25, expected)


FEW = Account(sessions(60))


def sized(size: Callable[[ProbeRequest], int], count: int = 300) -> Respond:
    """Return an account whose pages have another size than the limit."""
    account = Account(sessions(count))
    return lambda request: account(attrs.evolve(request, limit=size(request)))


def without_some(request: ProbeRequest) -> PageResponse:
    """Return a page without those reports that a server leaves out after it has counted them."""
    reports = Account(sessions(60))(request).reports or ()
    return PageResponse(reports=tuple(report for report in reports if report.key % 10 != 3))


@pytest.mark.parametrize(
    ("respond", "names"),
    [
        # A limit that is out of range is replaced by a default.
        (sized(lambda r: r.limit if r.limit <= 100 else 50), {"max_limit", "high_limits"}),
        (sized(lambda r: r.limit if r.limit >= 5 else 10), {"min_limit", "low_limits"}),
        (sized(lambda r: r.limit if r.limit >= 5 else 15), {"min_limit", "low_limits"}),
        # Page 1 follows another rule than the others.
        (sized(lambda r: r.limit if r.page == 1 else min(r.limit, 20)), {"max_limit"}),
        (sized(lambda r: r.limit // 5 * 5 or r.limit), {"odd_limits"}),
        (sized(lambda r: r.limit + r.limit % 2), {"odd_limits"}),
        (without_some, {"max_limit", "high_limits", "odd_limits"}),
        (sized(lambda r: r.limit - r.page % 2), set(attrs.fields_dict(LimitFindings))),
    ],
)
def test_pages_that_follow_no_known_rule_tell_nothing(respond: Respond, names: set[str]) -> None:
    findings = attrs.asdict(found(respond), recurse=False)
    assert names <= {name for name, finding in findings.items() if finding.value is None}


def test_a_limit_that_only_multiples_of_5_satisfy_is_no_multiple_of_10() -> None:
    limits = found(lambda r: PageResponse(400, None) if r.limit % 5 else FEW(r))
    assert limits.odd_limits.value is None


def test_the_largest_limit_is_confirmed_without_a_large_page() -> None:
    account = Account(tuple(attrs.evolve(r, size=500_000) for r in sessions(300)), 50)
    assert found(lambda r: FAILED if (r.page, r.limit) == (1, 60) else account(r)).max_limit == (
        Finding(50)
    )


def test_an_odd_limit_close_to_the_smallest_may_be_refused_for_another_reason() -> None:
    accepting = refusing(Account(sessions(30)), 28, 50)
    limits = found(lambda r: PageResponse(400, None) if r.limit == 29 else accepting(r))
    assert (limits.min_limit.value, limits.odd_limits.value) == (28, None)


def test_a_session_that_is_removed_meanwhile_makes_the_largest_limit_unknown() -> None:
    before, after = (Account(sessions(300)[first:], 50) for first in (0, 1))
    limits = found(lambda request: after(request) if request.repeat else before(request))
    assert limits.max_limit.value is None


@pytest.mark.parametrize(
    ("respond", "name"),
    [
        (failing(FEW, 1), "min_limit"),
        (failing(refusing(FEW, 7, 2000), 9), "min_limit"),
        (failing(FEW, 19), "odd_limits"),
        (failing(refusing(FEW, 1, 10), 20, 9), "odd_limits"),
        (failing(lambda r: PageResponse(400, None) if r.limit % 10 else FEW(r), 18), "odd_limits"),
        (failing(lambda request: FEW(attrs.evolve(request, limit=10)), 20), "odd_limits"),
        (failing(FEW, 2010), "max_limit"),
        (failing(refusing(FEW, 1, 500), 1000), "max_limit"),
    ],
)
def test_a_failure_is_the_reason_why_a_limit_is_unknown(respond: Respond, name: str) -> None:
    finding = getattr(found(respond), name)
    assert (finding.value, finding.reason) == (None, FAILED.failure)


@pytest.mark.parametrize(
    ("respond", "name"),
    [
        (FEW, "max_limit"),
        (refusing(FEW, 7, 2000), "min_limit"),
        (refusing(FEW, 1, 10), "max_limit"),
    ],
)
def test_no_large_limit_is_requested_without_a_window_of_few_sessions(
    respond: Respond, name: str
) -> None:
    finding = getattr(found(respond, small=None), name)
    assert (finding.value, "no window with few sessions" in finding.reason) == (None, True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"order": "changing"}, "the order of the reports changes"),
        ({"ignore_page": True}, "the server ignores the page number"),
    ],
)
def test_pages_without_an_order_do_not_show_their_size(
    settings: dict[str, object], reason: str
) -> None:
    sample = run(read_sample([WINDOW]), FEW)
    probe = LimitProbe(sample, SMALL, **settings)  # type: ignore[arg-type]
    assert run(probe.find(), FEW).max_limit.reason == reason


@pytest.mark.parametrize(
    ("largest", "step"),
    [(1, 1), (2, 1), (37, 1), (99, 1), (100, 1), (999, 1), (1999, 1), (2000, 1), (130, 10)],
)
def test_a_search_for_the_largest_limit_takes_at_most_15_requests(largest: int, step: int) -> None:
    accepted, refused, count = min(10 if step == 10 else 1, largest), 2010, 0
    while (limit := choose_limit(accepted, refused, step)) is not None:
        count += 1
        accepted, refused = (limit, refused) if limit <= largest else (accepted, limit)
    assert (accepted, count <= 15) == (largest, True)
