"""What `sentry-tablestore check` looks at: the network, the table, its nodes."""
