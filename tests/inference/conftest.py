"""Digits, a function that scores them, and a cache that must be empty afterwards."""

from scored_digits import broken, cache, score

__all__ = ["broken", "cache", "score"]
