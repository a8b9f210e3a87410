"""Keys and values in a table, without Sentry: see `sentry_tablestore.kvstore.tablestore`."""
