"""--rate: rows or bytes a second, for all workers together."""

import threading

import pytest
from sentry_tablestore.migration.rate import Limiter, Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("500", Rate(500, "rows")),
        ("500rows", Rate(500, "rows")),
        ("0.5", Rate(0.5, "rows")),
        ("2.5MB", Rate(2_500_000, "bytes")),
        (" 10 kb ", Rate(10_000, "bytes")),
        ("1GB", Rate(1_000_000_000, "bytes")),
        ("64B", Rate(64, "bytes")),
    ],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-5", "1TB", "5 rows a second", "1e3", "MB"])
def test_what_is_no_rate(text):
    with pytest.raises(ValueError, match="a rate is rows a second such as 500"):
        parse_rate(text)


class Clock:
    """A time that goes on when somebody waits."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("rate", "taken"), [(Rate(100, "rows"), (30, 7)), (Rate(100, "bytes"), (7, 30))]
)
def test_a_limiter_lets_no_more_through_than_the_rate(rate, taken):
    clock = Clock()
    limiter = Limiter(rate, clock.wait, clock)
    for _ in range(100):
        limiter.take(*taken)
    # The first one passes at once, and the last one is made up by whoever would be the next.
    assert clock.now - 50 == pytest.approx(99 * 0.3)
    clock.wait(1000)  # a time in which nothing passed gives no credit
    limiter.take(*taken)
    before = clock.now
    limiter.take(*taken)
    assert clock.now - before == pytest.approx(0.3)


def test_workers_share_the_rate():
    waits = []
    limiter = Limiter(Rate(1000, "rows"), waits.append, lambda: 0.0)
    threads = [threading.Thread(target=limiter.take, args=(100, 0)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 10 for n in range(1, 20)])


def test_without_a_rate_nobody_waits():
    Limiter(None, lambda seconds: pytest.fail("it waited")).take(10**9, 10**12)
