"""What runs inside the real Sentry, on CPython 3.6 or 3.8; this package is on its path."""
