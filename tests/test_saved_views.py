"""Saved views belong to a run by the token in their documents, and not by their names."""

import pytest

from fiftyone_drop import DropError, saved_views


def test_a_view_of_a_run_is_saved_once_and_then_moved(dataset):
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(5), "words", "#FF6D04")
    assert dataset.list_saved_views() == ["a-kept"]
    assert len(dataset.load_saved_view("a-kept")) == 5
    assert dataset.get_saved_view_info("a-kept")["description"] == "words"
    assert saved_views.missing_views(dataset, ["a-kept", "b"], "token") == ["b"]


def test_only_views_with_the_token_are_deleted(dataset):
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    dataset.save_view("a-pruned", dataset.limit(4))
    saved_views.delete_views(dataset, ["a-kept", "a-pruned", "nothing"], "another")
    assert sorted(dataset.list_saved_views()) == ["a-kept", "a-pruned"]
    saved_views.delete_views(dataset, ["a-kept", "a-pruned", "nothing"], "token")
    assert dataset.list_saved_views() == ["a-pruned"]


def test_a_view_keeps_its_mark_when_somebody_edits_it(dataset):
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    dataset.update_saved_view_info("a-kept", {"description": "mine", "color": "#000000"})
    dataset.reload()
    assert saved_views.missing_views(dataset, ["a-kept"], "token") == []


def test_a_view_that_another_session_has_swept_from_the_list_is_missed(dataset):
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    dataset._doc.saved_views = []
    dataset._doc.save()
    assert saved_views.missing_views(dataset, ["a-kept"], "token") == ["a-kept"]


@pytest.mark.parametrize("name", ["my-view", "My View", "my_view", "MY-VIEW"])
def test_a_view_that_would_replace_another_is_refused(dataset, name):
    dataset.save_view("my-view", dataset.limit(3))
    with pytest.raises(
        DropError, match=f"^key: the saved view '{name}' cannot be made, .*'my-view'"
    ):
        saved_views.check_views_free(dataset, ["free", name], [], "rename it")
    saved_views.check_views_free(dataset, ["my-views"], [], "rename it")


def test_the_views_of_the_run_itself_are_free(dataset):
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    mine = saved_views.own_views(dataset, ["a-kept"], "token")
    saved_views.check_views_free(dataset, ["a-kept"], mine, "rename it")
    mine = saved_views.own_views(dataset, ["a-kept"], "another")
    with pytest.raises(DropError, match=r"'a-kept'.*; rename it"):
        saved_views.check_views_free(dataset, ["a-kept"], mine, "rename it")


def test_a_view_that_has_lost_its_token_is_known_by_its_name_and_its_stages(dataset):
    shown = {"a-kept": dataset.limit(3)}
    saved_views.save_view(dataset, "a-kept", "token", dataset.limit(3), "words", "#FF6D04")
    assert saved_views.unmarked_names(dataset) == set()
    clone = dataset.clone()
    try:
        assert saved_views.unmarked_names(clone) == {"a-kept"}
        for other in ({"a-kept": dataset.limit(4)}, {"b-kept": dataset.limit(3)}):
            assert saved_views.copies(clone, other) == {}
        found = saved_views.copies(clone, shown)
        assert found.keys() == {"a-kept"}
        saved_views.adopt(found.values(), "token")
        assert saved_views.own_views(clone, ["a-kept"], "token") == ["a-kept"]
        assert saved_views.copies(clone, shown) == {}
    finally:
        clone.delete()
