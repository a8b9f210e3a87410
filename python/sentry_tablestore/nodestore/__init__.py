"""Sentry's nodestore: see `sentry_tablestore.nodestore.backend`."""
