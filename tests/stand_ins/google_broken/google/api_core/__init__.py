"""Stands in for a package of Google's."""
