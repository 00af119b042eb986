"""The writes of this process to MongoDB: counted, seen, or made to fail."""

import threading

import pymongo.collection
from pymongo.errors import AutoReconnect

NAMES = (
    *("bulk_write", "insert_one", "insert_many", "update_one", "update_many", "replace_one"),
    *("delete_one", "delete_many", "find_one_and_update", "find_one_and_replace"),
    "find_one_and_delete",
)


class Writes:
    """Counts the writes to MongoDB, and makes one fail, or all from one on.

    Attributes:
        count: the writes so far, without those that renew a lease
        at: the write that fails; None for none
        way: ``"before"`` it takes effect, ``"after"``, or all ``"from then on"``
        error: what is raised
        on_write: called before each write
    """

    def __init__(self, patch):
        self.on_write = lambda: None
        self.reset()
        for name in NAMES:
            original = getattr(pymongo.collection.Collection, name)
            patch(pymongo.collection.Collection, name, self._wrap(original))

    def reset(self, at=None, way="before", error=AutoReconnect):
        self.count, self.at, self.way, self.error = 0, at, way, error

    def _wrap(self, original):
        def write(collection, *args, **kwargs):
            renewal = threading.current_thread().name == "fiftyone-drop-lease"
            if renewal:
                return original(collection, *args, **kwargs)
            self.on_write()
            self.count += 1
            due = self.at is not None and (
                self.count >= self.at if self.way == "from then on" else self.count == self.at
            )
            words = f"write {self.count}: {original.__name__} {collection.name}"
            if due and self.way != "after":
                raise self.error(words)
            result = original(collection, *args, **kwargs)
            if due:
                raise self.error(words)
            return result

        return write
