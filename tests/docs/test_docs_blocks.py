"""Blocks of code in the pages can be read by what they are for."""

import ast
import json
import subprocess

import pytest
from pages import blocks


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block):
    ast.parse(block.code)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_loads(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("shell", "sh", "bash"), ids=str)
def test_shell_parses(block):
    done = subprocess.run(
        ["bash", "-n"], input=block.text, universal_newlines=True, stderr=subprocess.PIPE
    )
    assert done.returncode == 0, done.stderr
