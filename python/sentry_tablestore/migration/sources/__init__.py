"""Where nodes come from.

A source is split into parts that are read independently, each from a cursor on, page by page:

>>> reader = source.reader()
>>> page = reader.page(part, cursor=None, max_rows=1000, max_bytes=4 << 20)
>>> page.rows, page.cursor        # cursor None: the part has been read to its end

- `postgresql.PostgreSQLSource`: Sentry's `nodestore_node`, as its Django backend writes it.
- `node_storage.NodeStorageSource`: any NodeStorage class, for a list of ids.
- `tablestore.TablestoreSource`: a table of Tablestore, whole or for a list of ids.

Nothing here writes to a source.
"""
