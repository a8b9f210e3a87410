"""What runs inside the real Sentry: its interpreter is CPython 3.8, this package is on its path."""
