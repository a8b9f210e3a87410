"""A WSGI application that stores what it is sent: run by test_uwsgi.py."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "python"))

from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

given = json.loads(os.environ["STORE"])
store = TablestoreKVStorage("sentry", given["table"], given["options"])
# Without lazy-apps this runs in the master, which then forks.
store.set("loaded", b"1")


def application(environ, start_response):
    key = environ["PATH_INFO"][1:]
    value = b"x" * 5000 + key.encode()
    store.set(key, value)
    answer = value == store.get(key) == dict(store.get_many([key]))[key]
    store.delete(key)
    answer = answer and store.get(key) is None
    start_response("200 OK" if answer else "500 Wrong", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
