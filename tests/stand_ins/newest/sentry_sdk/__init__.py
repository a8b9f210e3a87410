"""Stands in for the SDK."""
