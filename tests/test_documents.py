"""The documents of FiftyOne's database, entry by entry."""

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import documents


def test_one_entry_of_a_dataset_changes_and_what_another_session_has_added_stays(make_dataset):
    dataset = make_dataset(100)
    view = dataset.limit(1)
    documents.change_entries(dataset, {"$set": {"info.mine": 1}})
    dataset.save_view("theirs", view)
    documents.change_entries(dataset, {"$set": {"info.mine": 2}})
    assert documents.entry(dataset, "info", {}) == {"mine": 2}
    assert len(documents.ids_of(documents.entry(dataset, "saved_views", []))) == 1
    assert documents.entry(dataset, "absent", "nothing") == "nothing"


def test_references_are_ids_however_they_are_stored(make_dataset):
    dataset = make_dataset(100)
    dataset.save_view("theirs", dataset.limit(1))
    reference = documents.entry(dataset, "saved_views", [])[0]
    found = documents.ids_of([reference])[0]
    assert documents.ids_of([found]) == [found]
    assert documents.collection("views").find_one({"_id": found})["name"] == "theirs"


ON_DISK, SAVES_A_VIEW = {"w": 1, "j": True}, ("views", "find_one_and_update")


def test_the_last_write_about_a_run_and_each_saved_view_wait_for_the_journal(
    make_dataset, monkeypatch, recalls
):
    dataset = make_dataset(100)
    written, collection = [], documents.collection

    class Noted:
        """A collection that notes with which write concern it writes."""

        def __init__(self, inner):
            self.inner = inner

        def with_options(self, **options):
            return Noted(self.inner.with_options(**options))

        def __getattr__(self, name):
            if name.startswith(("update", "delete", "insert", "find_one_and")):
                written.append((self.inner.name, name, self.inner.write_concern.document))
            return getattr(self.inner, name)

    monkeypatch.setattr(documents, "collection", lambda name: Noted(collection(name)))
    changes = (
        lambda: dataset.apply_drop(0.5, recalls=recalls, progress=False),
        lambda: fod.set_density(dataset, "drop", 0.7),
        lambda: fod.delete_drop(dataset, "drop"),
    )
    for change in changes:
        written.clear()
        change()
        ours = [concern for place, _, concern in written if place in ("datasets", "runs")]
        assert ours[-1] == ON_DISK
        # On disk before the dataset's list names it
        views = [how for place, way, how in written if (place, way) == SAVES_A_VIEW]
        assert views == ([] if change is changes[-1] else [ON_DISK] * 2)
    assert fo.dataset_exists(dataset.name)
