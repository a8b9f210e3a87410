"""Blocks of code in the pages can be read by what they are for."""

import ast
import json
import subprocess

import pytest
import yaml
from pages import blocks


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block):
    ast.parse(block.code)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_loads(block):
    json.loads(block.text)


class _Strict(yaml.SafeLoader):
    """Also refuses a key that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"twice: {keys}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_loads(block):
    """So does every alias name an anchor."""
    assert yaml.load(block.text, _Strict)


@pytest.mark.parametrize("block", blocks("shell", "sh", "bash"), ids=str)
def test_shell_parses(block):
    done = subprocess.run(
        ["bash", "-n"], input=block.text, universal_newlines=True, stderr=subprocess.PIPE
    )
    assert done.returncode == 0, done.stderr
