"""The command `sentry-tablestore`: see `sentry_tablestore.cli.main`. Needs click."""
