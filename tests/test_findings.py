"""The sentences of a report follow from independent counts, and say no more than these allow."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from reports import PROPORTIONAL, said, silent
from scipy.stats import binomtest

import fiftyone_drop as fod
from fiftyone_drop import ClassTable, DropError
from fiftyone_drop.accuracies import Accuracy, Change
from fiftyone_drop.findings import about_changes, about_quotas, about_recalls

pytestmark = pytest.mark.filterwarnings("ignore:the quotas may go too far")


def test_it_names_the_smallest_class_that_is_kept(odd_dataset):
    odd_dataset.apply_drop(density=0.5, **PROPORTIONAL)
    kept = odd_dataset.load_saved_view("drop-kept").count_values("ground_truth.label")
    name, n = min(kept.items(), key=lambda item: item[1])
    level, text = said(fod.report(odd_dataset, "drop"), "smallest class kept")
    assert level == "info"
    assert f"{name!r}: {n} of " in text


def test_emptied_classes_are_named_and_do_not_count_as_the_smallest(dataset, recalls):
    perfect = recalls | {"zero": 1.0, "one": 1.0}
    dataset.apply_drop(0.3, recalls=perfect, min_per_class=0, allow_empty_classes=True)
    report = fod.report(dataset, "drop")
    level, text = said(report, "nothing is kept of".capitalize())
    assert level == "warning"
    assert "2 of 10 classes: 'one', 'zero'" in text
    assert not {"'zero'", "'one'"} & set(said(report, "smallest class kept")[1].split())


def test_nearly_emptied_classes_are_named_with_what_nearly_means(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls | {"zero": 0.999})
    sizes = dataset.count_values("ground_truth.label")
    kept = dataset.load_saved_view("drop-kept").count_values("ground_truth.label")
    assert kept["zero"] == 1
    assert kept["two"] == 5
    level, text = said(fod.report(dataset, "drop"), "Nearly emptied")
    assert level == "warning"
    named = f"2 of 10 classes: 'zero' (1 of {sizes['zero']}), 'two' (5 of {sizes['two']})."
    assert named in text
    assert "at most 5 samples and a class density below half of the dataset's" in text


def test_a_small_class_that_is_pruned_no_harder_than_others_is_not_nearly_emptied(make_dataset):
    dataset = make_dataset(60)
    labels = [fo.Classification(label="rare" if i < 4 else "common") for i in range(60)]
    dataset.set_values("ground_truth", labels)
    dataset.apply_drop(density=0.5, **PROPORTIONAL)
    assert dataset.load_saved_view("drop-kept").count_values("ground_truth.label")["rare"] == 2
    assert silent(fod.report(dataset, "drop"), "emptied")


def test_recalls_measured_on_few_samples_are_called_unsure(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 45})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    level, text = said(fod.report(dataset, "drop"), "95 % interval wider than 0.2")
    low, high = binomtest(25, 50).proportion_ci(method="wilson")
    assert level == "warning"
    assert text.startswith("The recalls of 1 of 2 classes")
    assert f"'cat' ({low:.2f} to {high:.2f}, measured on 50)" in text
    assert "93 validation samples of a class are enough" in text


def test_recalls_that_were_given_or_not_needed_are_not_judged(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, key="given")
    assert said(fod.report(dataset, "given"), "recalls were given")[0] == "info"
    dataset.apply_drop(density=0.5, key="none", **PROPORTIONAL)
    report = fod.report(dataset, "none")
    assert silent(report, "recall")
    assert report.accuracy is None


def test_kept_samples_of_low_aum_are_counted_and_shown(dataset, recalls):
    values = np.random.default_rng(0).normal(1, 1, 300)
    dataset.set_values("margin", [None if i % 10 == 0 else v for i, v in enumerate(values)])
    field = dataset.get_field("margin")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    dataset[100:].apply_drop(density=0.5, recalls=recalls)
    kept = dataset.match(F("drop_kept") == True).values("margin")  # noqa: E712
    wrong, scored = sum(v is not None and v < 0 for v in kept), sum(v is not None for v in kept)
    report = fod.report(dataset, "drop")
    level, text = said(report, "AUM")
    assert level == "warning"
    assert text.startswith(f"{wrong} of {scored} kept samples")
    assert report.suspects == ("margin",)
    printed = str(report)
    call = printed[printed.index("fod.drop_view") : printed.index(" shows first")]
    shown = eval(call, {"fod": fod, "dataset": dataset}).exists("margin").values("margin")
    assert max(shown[:wrong]) < 0 <= shown[wrong]


def test_only_an_aum_of_the_labels_and_with_suspects_is_named(dataset, recalls):
    for name, low, info in (
        ("aum", 1.0, {}),
        ("b_aum", -1.0, {"label_field": "ground_truth"}),
        ("c_aum", -1.0, {"label_field": "other"}),
    ):
        dataset.set_values(name, [low if i % 2 else 1.0 for i in range(300)])
        field = dataset.get_field(name)
        field.info = {"score": "aum", "hard": "low", **info}
        field.save()
    dataset.apply_drop(density=0.5, recalls=recalls, label_field="ground_truth")
    report = fod.report(dataset, "drop")
    assert "'aum' or 'b_aum' an AUM below 0" in said(report, "AUM")[1]
    assert report.suspects == ("b_aum",)


@pytest.mark.parametrize(
    ("of_labels", "accused"),
    [("parity", False), ("ground_truth", True), ("ground_truth.label", True)],
)
def test_a_recorded_aum_of_other_labels_accuses_none_of_these(dataset, recalls, of_labels, accused):
    import torch

    recorder = fod.DynamicsRecorder(dataset, of_labels, ["aum"])
    logits = torch.zeros(300, len(recorder.classes))
    logits[:, 0] = 3  # the labels of all other classes look wrong
    recorder.update(dataset.values("id"), logits)
    recorder.end_epoch()
    recorder.finish()
    dataset.apply_drop(density=0.5, label_field="ground_truth", recalls=recalls)
    report = fod.report(dataset, "drop")
    assert report.suspects == (("aum",) if accused else ())
    assert accused or silent(report, "AUM")


def test_a_weak_model_accuses_no_labels(dataset, recalls):
    dataset.set_values("aum", [-1.0 if i % 2 else 1.0 for i in range(300)])
    field = dataset.get_field("aum")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    weak = {name: recall * 0.8 for name, recall in recalls.items()}
    dataset.apply_drop(density=0.5, recalls=weak)
    report = fod.report(dataset, "drop")
    assert said(report, "labels are wrong is not said")[0] == "info"
    assert silent(report, "may be wrong")
    assert report.suspects == ()


def test_kept_samples_that_fiftyone_finds_mistaken_are_counted(dataset, recalls):
    import fiftyone.brain as fob

    labels = dataset.values("ground_truth.label")
    predictions = [
        fo.Classification(label=name if i % 5 else "other", confidence=0.95 - 0.3 * (i % 2))
        for i, name in enumerate(labels)
    ]
    dataset.set_values("predictions", predictions)
    fob.compute_mistakenness(dataset, "predictions", label_field="ground_truth")
    dataset[:200].apply_drop(density=0.5, recalls=recalls, label_field="ground_truth")
    kept = dataset.match(F("drop_kept") == True).values("mistakenness")  # noqa: E712
    level, text = said(fod.report(dataset, "drop"), "mistakenness above 0.9")
    assert level == "warning"
    assert text.startswith(f"{sum(v > 0.9 for v in kept)} of 100 kept samples")
    shown = fod.drop_view(dataset, "drop", score="mistakenness").values("mistakenness")
    assert shown == sorted(kept, reverse=True)


def test_labels_without_a_sign_of_mistakes_are_no_warning(dataset, recalls):
    dataset.set_values("aum", [1.0] * 300)
    field = dataset.get_field("aum")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    dataset.apply_drop(density=0.5, recalls=recalls)
    level, text = said(fod.report(dataset, "drop"), "AUM")
    assert level == "info"
    assert text.startswith("0 of 150 kept samples")


def test_a_difference_that_may_be_noise_is_called_that(two_classes):
    dataset = two_classes(val={"cat": 30, "dog": 45}, final={"cat": 36, "dog": 44})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    report = fod.report(dataset, "drop", eval_key="final")
    level, text = said(report, "worst class")
    assert level == "info"
    assert "'cat' with 0.600 before and is 'cat' with 0.720 after" in text
    assert "may be noise (p = 0.2" in text
    assert "better" not in text
    assert [(c.class_name, c.clear) for c in report.gained] == [("cat", False)]
    assert [(c.class_name, c.clear) for c in report.lost] == [("dog", False)]


@pytest.mark.parametrize(
    ("after", "level", "word"), [(45, "info", "better"), (2, "warning", "worse")]
)
def test_a_difference_beyond_noise_is_called_that(two_classes, after, level, word):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": after, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    report = fod.report(dataset, "drop", eval_key="final")
    found, text = said(report, "worst class was")
    assert found == level
    assert f"{word} by more than noise" in text
    (change,) = report.gained[:1] if word == "better" else report.lost
    assert (change.class_name, change.before, change.after, change.clear) == (
        "cat",
        0.4,
        after / 50,
        True,
    )


def test_equally_many_samples_are_not_taken_for_the_same_ones(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": 30, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    assert said(fod.report(dataset, "drop", "final"), "on the same 100 samples")[0] == "info"
    test = dataset.match_tags("test")
    options = {"validation": test, "pred_field": "pred_val", "label_field": "ground_truth"}
    dataset.match_tags("train").apply_drop(0.5, key="seen", **options)
    level, text = said(fod.report(dataset, "seen", "final"), "equally many samples")
    assert level == "info"
    assert "whether on the same ones is not recorded" in text


def test_equally_many_samples_of_other_evaluations_are_known_to_be_others(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45})
    dataset[:100].apply_drop(density=0.5, eval_key="val")
    first = dataset[:100]
    first.set_values("late", [fo.Classification(label="cat")] * 100)
    first.evaluate_classifications("late", "ground_truth", eval_key="late_eval", progress=False)
    report = fod.report(dataset, "drop", eval_key="late_eval")
    level, _ = said(report, "different samples, 100 and 100 (0 of them in both)")
    assert level == "warning"


@pytest.mark.filterwarnings("ignore:the class recalls", "ignore:the query model")
def test_the_evaluation_that_the_recalls_come_from_is_no_news(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45})
    dataset[:100].apply_drop(density=0.5, eval_key="val")
    dataset[:100].apply_drop(density=0.5, key="own", label_field="ground_truth")
    for key, eval_key in (("drop", "val"), ("own", "own_eval")):
        with pytest.raises(DropError, match=r"eval_key: the recalls of the run .* come from"):
            fod.report(dataset, key, eval_key=eval_key)


def test_a_run_without_its_order_says_so_and_nothing_of_its_samples(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": 30, "dog": 46})
    dataset.set_values("aum", [-1.0] * 200)
    field = dataset.get_field("aum")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    dataset[:100].apply_drop(density=0.5, eval_key="val")
    dataset.delete_sample_field("drop_keep_at")
    for report in (fod.report(dataset, "drop"), fod.report(dataset, "drop", eval_key="final")):
        level, _ = said(report, "'drop_keep_at' of the run was deleted")
        assert level == "warning"
        assert "AUM" not in str(report)
        assert "0 of 0" not in str(report)


def test_several_fields_of_aum_are_one_finding(dataset, recalls):
    dataset.set_values("aum", [-1.0 if i < 100 else None for i in range(300)])
    dataset.set_values("second", [1.0 if i < 150 else -2.0 for i in range(300)])
    for name in ("aum", "second"):
        field = dataset.get_field(name)
        field.info = {"score": "aum", "hard": "low"}
        field.save()
    dataset.apply_drop(density=0.5, recalls=recalls)
    rows = zip(*dataset.values(["drop_kept", "aum", "second"]), strict=True)
    wrong = sum(kept and ((aum or 0) < 0 or second < 0) for kept, aum, second in rows)
    level, text = said(fod.report(dataset, "drop"), "AUM")
    assert level == "warning"
    assert text.startswith(f"{wrong} of 150 kept samples have in 'aum' or 'second' an AUM below 0")


@pytest.mark.filterwarnings("ignore:the class recalls")
def test_labels_that_were_corrected_since_make_no_other_samples(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, after={"cat": 40, "dog": 45})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    test = dataset.match_tags("test")
    test.limit(5).set_values("ground_truth.label", ["dog"] * 5)
    report = fod.report(dataset, "drop", eval_key="after")
    level, _ = said(report, "different samples, or on other labels of the same, 100 and 100")
    assert level == "warning"


def test_other_samples_kept_samples_and_missing_classes_are_warned_about(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45})
    train = dataset.match_tags("train")
    train.apply_drop(density=0.5, eval_key="val")
    cats = train.match(F("ground_truth.label") == "cat")
    cats.set_values("late", [fo.Classification(label="cat")] * 50)
    cats.evaluate_classifications("late", "ground_truth", eval_key="late_eval", progress=False)
    report = fod.report(dataset, "drop", eval_key="late_eval")
    kept = fod.load_drop(dataset, "drop").table.by_class("quotas")["cat"]
    assert said(report, "different samples, 100 and 50")[0] == "warning"
    assert said(report, "has no sample of 'dog'")[0] == "warning"
    level, text = said(report, "are kept by the run")
    assert level == "warning"
    assert text.startswith(f"{kept} samples")
    assert report.accuracy["after"].average == 1


# -- from tables and numbers alone ----------------------------------------------------------------


def table_of(quotas, sizes, density=0.5, **columns):
    names = tuple(f"class {k}" for k in range(len(sizes)))
    return ClassTable(names, np.array(sizes), density, np.array(quotas), **columns)


def test_a_class_far_below_the_density_is_nearly_emptied_however_many_samples_it_keeps():
    (_, (level, text)) = about_quotas(table_of([49, 951], [1000, 1000]))
    assert level == "warning"
    assert "'class 0' (49 of 1,000)" in text
    (only,) = about_quotas(table_of([51, 949], [1000, 1000]))
    assert only[0] == "info"


def test_recalls_that_are_sure_are_said_to_be():
    support = np.array([1000, 1000])
    table = table_of(
        [5, 5], [10, 10], recalls=np.array([0.5, 0.9]), correct=support // 2, support=support
    )
    assert list(about_recalls(table)) == [
        ("info", "every recall has a 95 % interval no wider than 0.2")
    ]
    assert list(about_recalls(table_of([5], [10]))) == []


def accuracy(worst, name="cat"):
    return Accuracy(0.9, worst, name, None, 0.9 - worst, 0.1, 100)


@pytest.mark.parametrize(
    ("after", "p_value", "level", "words"),
    [
        (0.7, 0.0123, "info", "better by more than noise (p = 0.012)"),
        (0.3, 0.05, "warning", "worse by more than noise (p = 0.05)"),
        (0.7, 0.06, "info", "the difference may be noise (p = 0.06)"),
        (0.7, None, "info", "is not known"),
    ],
)
def test_the_worst_class_is_compared_as_far_as_a_test_allows(after, p_value, level, words):
    ((found, text),) = about_changes(accuracy(0.5), accuracy(after, "dog"), p_value, [], [])
    assert found == level
    assert text.endswith(words)
    assert "'cat' with 0.500 before and is 'dog'" in text


def test_changes_are_listed_with_whether_they_are_noise():
    change = [Change("cat", 0.5, 0.6, False), Change("dog", 0.5, 0.55, None)]
    one = accuracy(0.5)
    _, gained, lost = about_changes(one, one, None, change, [Change("emu", 0.9, 0.1, True)])
    assert gained == (
        "info",
        "classes that gained most: 'cat' (0.500 to 0.600, may be noise), 'dog' (0.500 to 0.550)",
    )
    assert lost == ("info", "classes that lost most: 'emu' (0.900 to 0.100)")
