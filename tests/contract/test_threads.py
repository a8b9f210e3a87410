"""Threads: any number of them share one client."""

import threading

from sentry_tablestore import loader


def test_thirty_two_threads_share_one_client(make_store, new_id):
    store = make_store(max_connection=8, compression="zstd")
    failed = []
    start = threading.Barrier(32)

    def use(keys):
        try:
            start.wait()
            for n, key in enumerate(keys):
                value = key.encode("utf-8") * (1 + 97 * n)
                store.set(key, value)
                assert store.get(key) == value
            assert [key for key, _ in store.get_many(keys)] == keys
            store.delete_many(keys[::2])
            assert [key for key, _ in store.get_many(keys)] == keys[1::2]
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [
        threading.Thread(target=use, args=([new_id() for _ in range(10)],)) for _ in range(32)
    ]
    before = len(loader.process().handles)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(loader.process().handles) == before + 1


def test_a_call_does_not_hold_the_interpreter_lock(make_store, server):
    """Another thread goes on while a call waits."""
    store = make_store(timeout=30)
    ended = threading.Event()

    def call():
        store.get("x")
        ended.set()

    with server.failing({"operation": "GetRow", "action": "delay", "delay_ms": 1000}):
        thread = threading.Thread(target=call)
        thread.start()
        turns = 0
        while not ended.is_set():
            turns += 1
        thread.join()
    assert turns > 10000
