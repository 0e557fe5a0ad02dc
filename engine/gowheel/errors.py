"""What stops a wheel from being built."""

from __future__ import annotations


class WheelError(Exception):
    """The wheel can't be built; the message says what failed, why, and what to do."""
