"""Time that passes only when a test says so."""

from fiftyone_drop.engine import checkpoint


class Clock:
    """A clock that goes on only when told to; instead of ``checkpoint.py``'s."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(checkpoint, "time", self)

    def monotonic(self):
        return self.now
