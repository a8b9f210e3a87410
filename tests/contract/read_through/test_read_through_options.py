"""What `validate` refuses of the option `read_through`, and with it every operation."""

import sys

import pytest
from old_nodestore import OLD
from sentry_tablestore.errors import TablestoreOptionsError


def frames(error):
    """Give the local variables of every frame that an error shows."""
    while error is not None:
        at = error.__traceback__
        while at is not None:
            yield at.tb_frame.f_locals
            at = at.tb_next
        error = error.__cause__ or error.__context__


def test_the_old_stores_credentials_are_in_no_frame(make_nodes, old):
    """Error monitors record the local variables of all of them."""
    secret = {"colour": "tests-only-old-stores-secret"}
    nodes = make_nodes(read_through={"backend": OLD, "options": secret})
    with pytest.raises(TablestoreOptionsError) as caught:
        nodes.delete("x")
    of_the_package = [
        names for names in frames(caught.value) if "nodes" not in names or "self" in names
    ]
    assert of_the_package
    assert not [names for names in of_the_package if "tests-only-old" in repr(names)]


@pytest.fixture
def refused(make_nodes, old):
    """Give the message with which these are refused."""

    def refuse(read_through, **options):
        nodes = make_nodes(read_through=read_through, **options)
        with pytest.raises(TablestoreOptionsError) as caught:
            nodes.validate()
        text = str(caught.value)
        assert text.startswith("SENTRY_NODESTORE_OPTIONS: read_through")
        assert caught.value.exit_code == 1
        for use in (nodes.get, nodes.delete):
            with pytest.raises(TablestoreOptionsError, match="read_through"):
                use("in neither store")
        return text

    return refuse


@pytest.mark.parametrize("given", [7, "sentry.nodestore.django.DjangoNodeStorage", [], True])
def test_another_type(refused, given):
    assert "must be a dict such as {'backend'" in refused(given)


def test_unknown_keys(refused):
    assert "no key 'copied': did you mean 'copy'?" in refused({"backend": OLD, "copied": True})
    assert "no key 'end_point': known: backend" in refused({"backend": OLD, "end_point": ""})


@pytest.mark.parametrize("path", [None, "", "Django", "a..b", "a/b.c", 7, "a.b\n"])
def test_no_path(refused, path):
    assert "needs 'backend', the path of a class" in refused({"backend": path})


@pytest.mark.parametrize("options", [7, "x", ["colour"], {1: 2}])
def test_bad_options(refused, options):
    assert "'options' must be a dict of the old" in refused({"backend": OLD, "options": options})


@pytest.mark.parametrize("copy", [1, "yes", None])
def test_bad_copy(refused, copy):
    assert "'copy' must be True or False" in refused({"backend": OLD, "copy": copy})


@pytest.mark.parametrize(
    "path", ["no_such.Storage", "stand_in.no_such.Storage", "stand_in.old_store.NoSuch"]
)
def test_what_cannot_be_imported(refused, path):
    assert f"the backend '{path}' cannot be imported: " in refused({"backend": path})


@pytest.mark.parametrize("name", ["Unrelated", "write", "nodes"])
def test_what_is_no_nodestore(refused, name):
    path = "stand_in.old_store." + name
    assert "is no backend of Sentry's nodestore" in refused({"backend": path})


def test_what_the_old_backend_refuses(refused):
    for options in ({"color": "secret-value"}, {"colour": "secret-value"}):
        text = refused({"backend": OLD, "options": options})
        assert "refuses its options: " in text
        assert "secret-value" not in text


def test_its_own_table(backend, refused, server, table):
    own = {
        "backend": "sentry_tablestore.nodestore.backend.TablestoreNodeStorage",
        "options": server.client_options(table=table),
    }
    nodes = backend.TablestoreNodeStorage(**server.client_options(table=table, read_through=own))
    with pytest.raises(TablestoreOptionsError, match="names this very table"):
        nodes.validate()


def test_another_table_is_a_store_like_any(backend, server, table, make_store, new_id):
    other = "other_" + new_id().replace("-", "_")
    make_store(table=other).bootstrap(automatic_expiry=False)
    options = server.client_options(table=other)
    before = backend.TablestoreNodeStorage(**options)
    node = new_id()
    before.set(node, {"a": 1})
    path = "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"
    read_through = {"backend": path, "options": options}
    after = backend.TablestoreNodeStorage(
        **server.client_options(table=table, read_through=read_through)
    )
    after.validate()
    assert after.get(node) == {"a": 1}
    after.delete(node)
    assert before.get(node) is None


@pytest.mark.parametrize("backend", ["moved", "newest"], indirect=True)
def test_a_path_from_before_sentry_moved_its_backends(backend, make_nodes, monkeypatch):
    """The option may stay through an upgrade of Sentry."""
    name = "sentry.services.nodestore.django"
    module = type(sys)(name)
    module.DjangoNodeStorage = type("DjangoNodeStorage", (backend.NodeStorage,), {})
    monkeypatch.setitem(sys.modules, name, module)
    nodes = make_nodes("sentry.nodestore.django.DjangoNodeStorage")
    nodes.validate()
    assert type(nodes._read_through.backend) is module.DjangoNodeStorage


def test_nothing_is_imported_before_it_is_needed(make_nodes):
    make_nodes("stand_in.not_there.Storage")
    with pytest.raises(TablestoreOptionsError, match="cannot be imported"):
        make_nodes("stand_in.not_there.Storage").get("a")
