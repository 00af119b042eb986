"""Whether every run that is listed is whole, as somebody else sees it."""

import fiftyone_drop as fod


def assert_whole(dataset, keys=None):
    """Record, class table, saved views, ``drop_view`` and flags of every run tell the same."""
    dataset.reload()
    listed = fod.list_drops(dataset)
    if keys is not None:
        assert listed == sorted(keys)
    for key in listed:
        run = fod.load_drop(dataset, key)
        config, quotas = run.config, run.table.by_class("quotas")
        assert config.state == "complete", (key, config.state)
        kept = fod.drop_view(dataset, key)
        ids = set(kept.values("id"))
        assert kept.count_values("ground_truth.label") == {n: q for n, q in quotas.items() if q}
        for name in config.fields:
            assert dataset.has_field(name), (key, name)
        assert set(dataset.load_saved_view(config.kept_view).values("id")) == ids
        pruned = dataset.load_saved_view(config.pruned_view)
        assert len(pruned) == run.table.size - len(ids)
        flags = dict(zip(*dataset.values(["id", config.kept_field]), strict=True))
        assert {i for i, flag in flags.items() if flag} == ids
        assert config.written_eval_key is None or config.written_eval_key in (
            dataset.list_evaluations()
        )
    return listed


def contents(dataset):
    """All that is stored of a dataset, freshly read."""
    dataset.reload()
    fields = {name for document in dataset._sample_collection.find() for name in document}
    return (
        fields,
        set(dataset.get_field_schema()),
        sorted(dataset.list_saved_views()),
        dataset.list_runs(),
        dataset.list_evaluations(),
    )


def protect(dataset, name, read_only=True):
    """Make a field read-only, as somebody does who wants to keep it; or allow changes again."""
    field = dataset.get_field(name)
    field.read_only = read_only
    field.save()
