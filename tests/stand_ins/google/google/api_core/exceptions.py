"""Shaped as google.api_core's: a metaclass, a class attribute `code`, positional arguments."""

registered = {}


class _Meta(type):
    def __new__(mcs, name, bases, body):
        cls = type.__new__(mcs, name, bases, body)
        if cls.code is not None:
            registered.setdefault(cls.code, cls)
        return cls


class GoogleAPICallError(Exception, metaclass=_Meta):
    """The base."""

    code = None

    def __init__(self, message, errors=(), details=(), response=None, error_info=None):
        super().__init__(message)
        self.message = message
        self._errors = errors
        self._details = details
        self._response = response
        self._error_info = error_info

    def __str__(self):
        return f"{self.code} {self.message} {self.details}"

    @property
    def errors(self):
        return list(self._errors)

    @property
    def details(self):
        return list(self._details)

    @property
    def response(self):
        return self._response


class ServiceUnavailable(GoogleAPICallError):
    """503."""

    code = 503


class DeadlineExceeded(GoogleAPICallError):
    """504."""

    code = 504
