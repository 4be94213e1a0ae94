"""First pages of a probe, their order, and whether `page` is ignored, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from depotclient.probe.experiment import PageResponse, ProbeRequest, SeenReport, Window
from depotclient.probe.sample import (
    Sample,
    choose_windows,
    find_ignored_page,
    find_order,
    read_sample,
)
from tests.support.probing import (
    FAILED,
    FIRST,
    WINDOW,
    Account,
    Respond,
    record,
    run,
    seen,
    sessions,
)

YEARS = [Window(FIRST - timedelta(days=366 * n), WINDOW.end) for n in (0, 1, 2)]


def test_the_window_grows_only_without_a_start_of_the_user() -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    assert [w.end - w.start for w in choose_windows(None, None, now)] == [
        timedelta(days=days) for days in (31, 366, 3660)
    ]
    assert choose_windows(FIRST, None, now) == [Window(FIRST, now)]


def test_a_window_near_year_1_starts_at_its_end() -> None:
    end = datetime(1, 1, 2, tzinfo=UTC)
    assert choose_windows(None, end, FIRST)[0] == Window(end, end)


@pytest.mark.parametrize(
    ("count", "wide", "window", "requests"),
    [
        (12, FAILED, 0, 2),  # a full page is enough
        (3, PageResponse(400, None), 0, 3),
        (3, FAILED, 0, 3),
        (0, PageResponse(reports=sessions(4)), 1, 4),
        (3, PageResponse(reports=()), 0, 4),
    ],
)
def test_the_window_grows_until_a_page_is_full(
    count: int, wide: PageResponse, window: int, requests: int
) -> None:
    account = Account(sessions(count))

    def respond(request: ProbeRequest) -> PageResponse:
        return wide if request.window != YEARS[0] and request.page == 1 else account(request)

    sample, sent = record(read_sample(YEARS), respond)
    assert (sample.window, len(sent)) == (YEARS[window], requests)


def test_small_pages_are_read_until_ten_sessions_are_known() -> None:
    sample, sent = record(read_sample([WINDOW]), Account(sessions(60), max_limit=3))
    assert ([r.page for r in sent], len(sample.reports)) == ([1, 2, 3, 4], 12)


def answers(*responses: PageResponse) -> Respond:
    """Return an account that answers with these responses, one after the other."""
    rest = iter(responses)
    return lambda _: next(rest)


def page(*keys: int) -> PageResponse:
    return PageResponse(reports=tuple(seen(key) for key in keys))


MOVED = "sessions were added or removed during the probe"


def sample_of(*pages: PageResponse, larger: PageResponse | None = None) -> Sample:
    return Sample(WINDOW, 10, pages, larger or PageResponse())


@pytest.mark.parametrize(
    ("sample", "third", "expected"),
    [
        (sample_of(page(), page()), None, (None, "no session in the window")),
        (sample_of(page(1), FAILED), None, (None, FAILED.failure)),
        (sample_of(page(1), page(2)), None, (False, "")),
        # A new session has moved a part of page 1 to page 2.
        (sample_of(page(1, 2), page(2, 3)), None, (None, "pages 1 and 2 share sessions")),
        (sample_of(page(1, 2), page(1, 2), larger=page(1, 2, 3)), page(1, 2), (True, "")),
        (sample_of(page(1), page(1), larger=page(0, 1)), page(2), (None, MOVED)),
        (sample_of(page(1), page(1), larger=page(0, 1)), FAILED, (None, FAILED.failure)),
        # Page 2 is after the last page, and the server repeats page 1.
        (sample_of(page(1, 2), page(1, 2)), page(2), (False, "")),
        (sample_of(page(1, 2), page(1, 2)), page(1), (None, "one page has all sessions")),
        (sample_of(page(1, 2), page(1, 2)), FAILED, (None, "one page has all sessions")),
    ],
)
def test_the_page_number_is_ignored_if_page_2_repeats_page_1_of_more_sessions(
    sample: Sample, third: PageResponse | None, expected: tuple[bool | None, str]
) -> None:
    finding = run(find_ignored_page(sample), answers(*([third] if third else [])))
    assert (finding.value, finding.reason) == expected


NUMBERS = (1, 2, 3, 4, 5)
FEW = "the window has too few sessions with different starts"


@pytest.mark.parametrize(
    ("keys", "again", "expected"),
    [
        (NUMBERS, [page(*NUMBERS)], ("ascending", "")),
        (NUMBERS[::-1], [page(*NUMBERS[::-1])], ("descending", "")),
        ((2, 1, 3, 5, 4), [page(2, 1, 3, 5, 4)], ("shuffled", "")),
        (NUMBERS, [page(2, 1, 3, 5, 4), page(5, 1, 3, 2, 4)], ("changing", "")),
        (NUMBERS, [page(7, 9, 6, 8, 10), page(11, 15, 13, 14, 12)], ("changing", "")),
        # Many sessions were added, and all pages are in the same order.
        (NUMBERS, [page(6, 7, 8, 9, 10), page(11, 12, 13, 14, 15)], (None, MOVED)),
        (NUMBERS, [page(2, 3, 4, 5, 6)] * 2, (None, MOVED)),
        (NUMBERS, [page(2, 3, 4, 5, 6), page(3, 4, 5, 6, 7)], (None, MOVED)),
        (NUMBERS, [page(5, 4), FAILED], (None, FAILED.failure)),
        (NUMBERS[:4], [], (None, FEW)),
        ((), [], (None, "no session in the window")),
    ],
)
def test_the_order_needs_five_starts_and_a_page_that_is_read_twice(
    keys: Sequence[int], again: Sequence[PageResponse], expected: tuple[str | None, str]
) -> None:
    finding = run(find_order(sample_of(page(*keys), page())), answers(*again))
    assert (finding.value, finding.reason) == expected


def test_sessions_with_equal_starts_count_less_for_the_order() -> None:
    def starting(key: int, day: int) -> SeenReport:
        return attrs.evolve(seen(key), start=FIRST + timedelta(days=day))

    equal = PageResponse(reports=tuple(starting(key, 1) for key in range(12)))
    groups = PageResponse(reports=tuple(starting(key, key // 4) for key in range(12)))
    assert run(find_order(sample_of(equal, page())), answers()).reason == FEW
    assert run(find_order(sample_of(groups, page())), answers(groups)).value == "ascending"
