"""Stands in for a package of Sentry."""
