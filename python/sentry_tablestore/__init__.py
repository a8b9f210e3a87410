"""Sentry's nodestore on Alibaba Cloud Tablestore.

Importing this package starts nothing: no engine, no thread, no connection, and neither Sentry
nor Django. What there is:

- `sentry_tablestore.nodestore.backend.TablestoreNodeStorage`, for `SENTRY_NODESTORE`;
- `sentry_tablestore.kvstore.tablestore.TablestoreKVStorage`, the same store without Sentry;
- `sentry_tablestore.errors`, every exception that they raise;
- `__version__`, and `sentry_tablestore.engine.version()`, which also tells the commit.
"""

__version__ = "2.0.0"
