"""Runs a function in a forked child and gives what it returned. Runs on CPython 3.6."""

import os
import pickle
import select
import signal
import traceback

SECONDS = 60  # a child that hangs fails its test instead of the whole run


def in_child(function):
    """Fork, call the function in the child, and give its result.

    :raises AssertionError: with the child's traceback when it raised, or when it hung or died.
    """
    return start_child(function)()


def start_child(function):
    """Fork now, and give a function that waits for the child's result."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answer(writer, function)
    os.close(writer)
    return lambda: result(child, reader)


def answer(writer, function):
    """Call the function in a child, write what it gives to the pipe, and end the child."""
    status = 1
    try:
        try:
            told = pickle.dumps((True, function()))
        except BaseException:  # noqa: BLE001 - the parent shows it
            told = pickle.dumps((False, traceback.format_exc()))
        view = memoryview(told)
        while view:
            view = view[os.write(writer, view) :]
        status = 0
    finally:
        # Neither pytest's nor the parent's business at exit is the child's.
        os._exit(status)


def result(child, reader):
    """Wait for what a child answers, and give it."""
    parts = []
    try:
        while True:
            if not select.select([reader], [], [], SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
                raise AssertionError(f"the forked child hung for {SECONDS} seconds")
            part = os.read(reader, 1 << 16)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(reader)
        status = os.waitpid(child, 0)[1]
    assert parts, f"the forked child died with status {status}"
    fine, told = pickle.loads(b"".join(parts))
    assert fine, "in the forked child:\n" + told
    return told
