"""Providers of credentials as tests have them, and what becomes of their answers."""

NOON = 1800000000.0  # 2027-01-15T08:00:00Z
HOUR = 3600.0
SECRET = "tests-only-provided-secret"


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


class Native:
    """The part of the engine that takes credentials."""

    def __init__(self):
        self.given = []

    def set_credentials(self, handle, id, secret, token):
        self.given.append((handle, id, secret, token))
        return 0, None, None, ()


class Source:
    """A provider whose answers a test sets.

    :ivar life: Seconds until what it gives expires; None: it tells no expiration.
    """

    def __init__(self, clock, life=HOUR):
        self.clock = clock
        self.life = life
        self.calls = 0
        self.failure = None
        self.fixed = None

    def __call__(self):
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        if self.fixed is not None:
            return self.fixed
        key = "key-%d" % self.calls
        if self.life is None:
            return key, SECRET, "token"
        return key, SECRET, "token", self.clock() + self.life


def key_of(credentials):
    native = Native()
    credentials.give_to(native, 1)
    return native.given[0][1].decode()


class Attributes:
    access_key_id = "id"
    access_key_secret = SECRET
    security_token = "token"
    expiration = "2027-01-15T08:00:00Z"


class Getters:
    """As the SDK for Tablestore has them."""

    def get_access_key_id(self):
        return "id"

    def get_access_key_secret(self):
        return SECRET

    def get_security_token(self):
        return "token"
