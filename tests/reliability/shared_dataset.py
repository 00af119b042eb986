"""The dataset of the fault and session suites: other people's things, runs, scores; and its state.

Nothing here goes through the memory of a session: a snapshot is what MongoDB has stored, and so is
the state that two moments are compared by.
"""

import json
import warnings

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
from bson import DBRef, ObjectId
from writing_calls import LABELS, RECALLS, model_of, scores_of

import fiftyone_drop as fod
from fiftyone_drop import DropError, documents

SIZE = 40


def fill(dataset):
    """Give a dataset of digits everything that the calls find or must leave alone."""
    dataset.persistent = True
    dataset.set_values("mine", list(range(SIZE)))
    dataset.save_view("my-view", dataset.limit(7))
    labels = np.random.default_rng(0).permutation(dataset.values("ground_truth.label"))
    dataset.set_values("theirs_pred", [fo.Classification(label=str(name)) for name in labels])
    dataset.evaluate_classifications(
        "theirs_pred", "ground_truth", eval_key="theirs", progress=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        silent = {"progress": False} | LABELS
        fod.apply_drop(dataset, 0.5, recalls=RECALLS, key="other", **silent)
        fod.apply_drop(dataset, 0.6, recalls=RECALLS, key="plain", **silent)
        fod.apply_drop(dataset, 0.6, rule="none", key="flat", **silent)
        for key in ("cloned", "left"):
            fod.apply_drop(dataset, 0.6, recalls=RECALLS, key=key, **silent)
        _look_cloned(dataset, "cloned")
        _leave_fields(dataset, "left")
        fod.apply_drop(dataset[:30], 0.6, recalls=RECALLS, key="grown", **silent)
        fod.apply_drop(dataset, 0.6, holdout=0.5, key="predicted", **silent)
        how = model_of(0) | silent
        fod.compute_scores(dataset, scores=("el2n", "entropy"), prefix="old_", **how)
        how = {"hard": "high", "progress": False}
        fod.import_scores(dataset, scores_of(dataset, 0), prefix="kept_", **how)
        fod.import_scores(dataset, scores_of(dataset, 0), prefix="corrected_", model="run 7", **how)
        fod.train_query_model(dataset, holdout=0.5, epochs=1, key="asked", **silent)


def _look_cloned(dataset, key):
    """Make a run look as ``dataset.clone()`` copies it: views without a mark, of a dataset gone."""
    db, owned = foo.get_db_conn(), {"_dataset_id": dataset._doc.id}
    names = {"$in": fod.load_drop(dataset, key).config.views}
    db["views"].update_many(owned | {"name": names}, {"$unset": {"drop_token": ""}})
    db["runs"].update_one(owned | {"key": key}, {"$set": {"config.found.dataset_id": "another"}})


def _leave_fields(dataset, key):
    """Leave of a run what ``view.clone()`` copies: its fields."""
    for name in fod.load_drop(dataset, key).config.views:
        dataset.delete_saved_view(name)
    documents.delete_record(dataset, "runs", key)
    dataset.reload()


# -- what is stored -------------------------------------------------------------------------------


def take_snapshot(dataset):
    """All documents of a dataset, as they are stored."""
    db, _id = foo.get_db_conn(), dataset._doc.id
    samples = dataset._sample_collection_name
    found = {name: list(db[name].find(chosen)) for name, chosen in _places(_id, samples).items()}
    files = [run["results"] for run in found["runs"] if run.get("results")]
    found["fs.files"] = list(db["fs.files"].find({"_id": {"$in": files}}))
    found["fs.chunks"] = list(db["fs.chunks"].find({"files_id": {"$in": files}}))
    return {"id": _id, "name": dataset.name, "samples": samples, "documents": found}


def restore(snapshot):
    """Bring a dataset back to a snapshot, on whichever server this process is connected to."""
    db = foo.get_db_conn()
    places = _places(snapshot["id"], snapshot["samples"])
    places["fiftyone_drop.leases"] = {"_id": snapshot["id"]}
    for name in ("fs.files", "fs.chunks"):
        stored = [document["_id"] for document in snapshot["documents"][name]]
        places[name] = {"_id": {"$in": stored}}
    for name, chosen in places.items():
        db[name].delete_many(chosen)
        documents = snapshot["documents"].get(name)
        if documents:
            db[name].insert_many(documents)
    return opened(snapshot)


def opened(snapshot):
    """The dataset, as a session sees it that has just loaded it."""
    dataset = fo.load_dataset(snapshot["name"])
    dataset.reload()
    for cache in (dataset._run_cache, dataset._evaluation_cache):
        cache.clear()
    return dataset


def _places(_id, samples):
    owned = {"_dataset_id": _id}
    return {"datasets": {"_id": _id}, samples: {}, "runs": owned, "views": owned}


def expire_leases():
    """Let the time pass after which the lease of a dead writer has expired."""
    foo.get_db_conn()["fiftyone_drop.leases"].delete_many({})


# -- its state ------------------------------------------------------------------------------------


def state_of(snapshot):
    """What is stored of a dataset by kind and name, without ids, times and tokens."""
    db = foo.get_db_conn()
    found = {
        name: list(db[name].find(chosen))
        for name, chosen in _places(snapshot["id"], snapshot["samples"]).items()
    }
    (document,) = found["datasets"]
    by_id = {x["_id"]: x for x in found["runs"] + found["views"]}
    state = {}
    for field in document["sample_fields"]:
        kept = ("ftype", "embedded_doc_type", "description", "info", "read_only")
        state["field", field["name"]] = _plain({name: field.get(name) for name in kept})
    values = {}
    for sample in sorted(found[snapshot["samples"]], key=lambda x: x["_id"]):
        for name, value in sample.items():
            if name not in ("last_modified_at", "_id"):
                values.setdefault(name, {})[str(sample["_id"])] = _plain(value)
    state |= {("values", name): value for name, value in values.items()}
    for kind in ("runs", "evaluations"):
        for key, run in document[kind].items():
            run = by_id.get(_target(run))
            stored = run and {"config": run["config"], "results": bool(run.get("results"))}
            state[kind, key] = _plain(stored and stored | {"key": run["key"]})
    for view in document["saved_views"]:
        view = by_id[_target(view)]
        kept = ("view_stages", "description", "color", "slug")
        stored = {name: view.get(name) for name in kept}
        state["view", view["name"]] = _plain(stored)
    listed = {_target(x) for x in document["saved_views"]}
    for view in found["views"]:
        if view["_id"] not in listed:
            state["view that is not listed", view["name"]] = True
    runs = [*document["runs"].values(), *document["evaluations"].values()]
    listed = {_target(x) for x in runs}
    for run in found["runs"]:
        # Evaluations that no list has are leftovers of FiftyOne itself, which nobody can see
        if run["_id"] not in listed and run["config"].get("method") == "drop":
            state["run that is not listed", run["key"]] = True
    return state


def _target(reference):
    return reference.id if isinstance(reference, DBRef) else reference


def _plain(value):
    """A stored value without what differs from one making of it to the next."""
    if isinstance(value, dict):
        left = ("token", "drop_token", "timestamp", "versions", "_id")
        return {k: _plain(v) for k, v in value.items() if k not in left}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, ObjectId) else value


def part(state, owns):
    """What a state has of names."""
    return {(kind, name): value for (kind, name), value in state.items() if owns(name)}


def difference(one, two):
    """Words for where two states differ."""
    keys = sorted(set(one) | set(two), key=str)
    words = []
    for key in keys:
        if one.get(key) != two.get(key):
            texts = [json.dumps(x.get(key), default=str)[:300] for x in (one, two)]
            words.append(f"{key}: {texts[0]} instead of {texts[1]}")
    return "; ".join(words)


# -- what others see ------------------------------------------------------------------------------


def problems_of(snapshot, call, before, after):
    """What is wrong in the eyes of somebody who looks after a fault, in words; empty if nothing.

    Args:
        snapshot: of the dataset
        call: the :class:`writing_calls.Call` that met the fault
        before: the state before the call
        after: the state after the call where it meets no fault
    """
    state = state_of(snapshot)
    problems = []
    others = [part(x, lambda name: not call.owns(name)) for x in (state, before)]
    if others[0] != others[1]:
        problems.append(f"something of others changed: {difference(*others)}")
    dataset = opened(snapshot)
    try:
        sum(1 for _ in dataset)
    except Exception as error:
        problems.append(f"samples cannot be read: {error!r}")
    problems += problems_of_runs(dataset)
    problems += _neither(dataset, call, state, before, after)
    return problems


WRITE_RUNS = {
    *("apply_drop", "DropPlan", "load_manifest", "extend_drop", "set_density", "delete_drop"),
}


def _neither(dataset, call, state, before, after):
    """What is neither old nor new, and does not say so."""
    own, *ends = (
        part(x, lambda n: call.owns(n) and "_being_written" not in n)
        for x in (state, before, after)
    )
    if own in ends:
        return []
    if call.touches in fod.list_drops(dataset):
        if fod.load_drop(dataset, call.touches).config.state == "moving":
            return []
    elif call.public in WRITE_RUNS:
        return []  # it is not listed; load_drop says why
    else:
        try:
            call.use(dataset)
        except DropError:
            return []
    return ["neither old nor new: " + " | ".join(difference(own, end) for end in ends)]


def problems_of_runs(dataset):
    """Where record, class table, saved views, ``drop_view`` and flags of a run differ, in words."""
    problems = []
    for key in fod.list_drops(dataset):
        try:
            problems += [f"{key}: {words}" for words in _problems_of_run(dataset, key)]
        except Exception as error:
            problems.append(f"{key}: {error!r}")
    return problems


def _problems_of_run(dataset, key):
    run = fod.load_drop(dataset, key)
    config, quotas = run.config, run.table.by_class("quotas")
    kept = fod.drop_view(dataset, key)
    ids = set(kept.values("id"))
    if kept.count_values("ground_truth.label") != {n: q for n, q in quotas.items() if q}:
        yield "drop_view shows other samples than the class table says"
    if config.state == "moving":
        return  # it says so, and the flags and the saved views are on their way
    for name in config.fields:
        if not dataset.has_field(name):
            yield f"the field {name} is missing"
    if set(dataset.load_saved_view(config.kept_view).values("id")) != ids:
        yield "the saved view of the kept samples shows others"
    if len(dataset.load_saved_view(config.pruned_view)) != run.table.size - len(ids):
        yield "the saved view of the pruned samples shows others"
    flags = dict(zip(*dataset.values(["id", config.kept_field]), strict=True))
    if {i for i, flag in flags.items() if flag} != ids:
        yield "the flags are those of other samples"
    if config.written_eval_key not in (None, *dataset.list_evaluations()):
        yield "its evaluation is missing"
