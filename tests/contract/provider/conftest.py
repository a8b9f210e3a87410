"""A rotation whose provider and time a test sets."""

import pytest
from provided import Clock, Source
from sentry_tablestore.credentials import Rotation
from sentry_tablestore.credentials.provider import Provider


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source(clock):
    return Source(clock)


@pytest.fixture
def rotation(source, clock):
    return Rotation(Provider("the.provider", "key", source), 1, clock)
