"""What the guide to Kubernetes gives to pods are options that are accepted, in all of them."""

import pytest
import yaml
from pages import blocks
from sentry_tablestore.cli.configuration import PREFIX, from_environment, store_of

BLOCKS = [block for block in blocks("yaml") if block.page.endswith("kubernetes.md")]
VALUES = [block for block in BLOCKS if "sentryConfPy" in block.text]
VARIABLES = [block for block in BLOCKS if PREFIX in block.text]


def _found(key, value):
    """Give all that stands under a key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from _found(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _found(key, inner)


def test_every_component_gets_the_key_of_the_secret():
    (block,) = VALUES
    values = yaml.safe_load(block.text)
    components = {**values["sentry"], **values["hooks"]}
    assert len(components) > 20
    for name, component in components.items():
        given = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in component["env"]}
        assert given == {
            key: {"name": "tablestore", "key": key}
            for key in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        }, name


@pytest.mark.parametrize("block", VARIABLES, ids=str)
def test_variables_of_a_job_are_options(block, monkeypatch):
    job = yaml.safe_load(block.text)
    (env,) = _found("env", job)
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
        if list(_found("secretRef", job)) == [{"name": "tablestore"}]:
            monkeypatch.setenv(name, "of-the-secret")
    store = store_of(from_environment({one["name"]: one["value"] for one in env}))
    assert store.options.automatic_expiry
    assert store.default_ttl.days == 90


def test_there_is_a_job_with_a_secret_and_one_with_a_role():
    assert len(VARIABLES) == 2
    providers = ["CREDENTIALS_PROVIDER" in block.text for block in VARIABLES]
    assert providers == [False, True]
