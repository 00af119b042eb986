"""The sentences of the pages, and what to use when, from the records of one preset.

Figures, doubts and numbers of seeds follow from the records; what is recommended does not.
"""

from __future__ import annotations

from dataclasses import replace

from methods import METHODS
from records import FULL, LOG_PRIOR, PART, PLAIN, TUNED, Arm, Results
from tables import (
    AVERAGE,
    CLOSED,
    DROP,
    EQUAL,
    LONG_TAIL,
    MILD_TAIL,
    RANDOM,
    WAYS,
    WORST,
    both,
    gain,
    judged,
    seeds_of,
    spread,
    table,
    three_for_one,
)


def numbers(results: Results) -> str:
    """Three numbers: what quotas do, what hard samples alone do, and a long tail with offsets."""
    drop, low = Arm(DROP, 0.5), Arm(DROP, 0.2)
    random, hard = replace(drop, method=RANDOM), replace(low, method="el2n")
    long = replace(drop, dataset=LONG_TAIL)
    lifted = replace(long, offsets=LOG_PRIOR)
    worst, hard_gain = (results.difference(WORST, *pair) for pair in ((drop, random), (low, hard)))
    means = {arm: spread(results.metric(WORST, arm)) for arm in (drop, random, low, hard)}
    closed = results.difference(WORST, replace(drop, method=CLOSED), random)
    return (
        f"- **{worst} points** for the worst class when half of the data is kept: "
        f"{means[drop]} % instead of {means[random]} % with random pruning, at an average that "
        f"differs by {results.difference(AVERAGE, drop, random)} (recalls of "
        f"five query models; the default measures them in closed form: {closed}).\n"
        f"- **{hard_gain} points** over keeping the hardest samples (EL2N) when a fifth is kept: "
        f"{means[low]} % instead of {means[hard]} %.\n"
        f"- **{spread(results.metric(WORST, long))} % becomes "
        f"{spread(results.metric(WORST, lifted))} %** on a long tail, half of which is kept, once "
        "`fod.class_offsets` corrects the logits of the trained model: far more than quotas alone "
        "can do.\n"
    )


def numbers_again(results: Results) -> str:
    """The first number on a larger network."""
    arms = [Arm(DROP, density) for density in (0.2, 0.3, 0.5)]
    shown = []
    for arm in arms:
        worst = results.difference(WORST, arm, replace(arm, method=RANDOM))
        assert worst is not None
        doubt = f" ({worst.doubt})" if worst.doubt else ""
        shown.append(f"{worst}{doubt} at a density of {arm.density:g}")
    return (
        f"- On a larger network, on a GPU ({seeds_of(results, arms)} seeds), DRoP over random "
        f"pruning: {', '.join(shown)}.\n"
    )


def adds(results: Results) -> str:
    """What quotas add beside offsets, in words."""
    drop, random, full = (Arm(name, 0.5) for name in (DROP, RANDOM, FULL))
    part = [replace(arm, offsets=PART) for arm in (random, drop)]
    long = [Arm(name, 0.5, LONG_TAIL, LOG_PRIOR) for name in (RANDOM, DROP, FULL)]
    tuned = [replace(arm, offsets=TUNED) for arm in long]
    whole = replace(random, offsets=TUNED)
    less = [Arm(CLOSED, density, LONG_TAIL, TUNED) for density in (0.3, 0.2)]
    return (
        f"**Equal classes: quotas buy average.** Random and the whole tuned offsets reach "
        f"{both(results, whole)}, Random + DRoP without any offsets {both(results, drop)}: the "
        f"difference is {gain(results, drop, whole)}. Of the offsets one may take a part, as much "
        "as costs a point of the average on the validation half: then Random has "
        f"{both(results, part[0])}, DRoP {both(results, part[1])}, a difference of "
        f"{gain(results, part[1], part[0])}; full data, which costs twice the images, "
        f"{both(results, replace(full, offsets=PART))}.\n\n"
        "**Long tail, half kept: offsets do more than any quota.** Without them the worst class is "
        "near 0 for everybody, with half of the data or all of it. With the log-prior offsets, "
        f"which need no validation samples, DRoP has {both(results, long[1])} from half of the "
        f"data and full data {both(results, long[2])}: a difference of "
        f"{gain(results, long[1], long[2])}. Quotas still count: Random with the same offsets has "
        f"{both(results, long[0])}, DRoP is above it by {judged(results, long[1], long[0])}. Tuned "
        f"offsets: DRoP {both(results, tuned[1])}, full data {both(results, tuned[2])}. With "
        "recalls in closed form, the default of `apply_drop`, 30 % of the data and tuned offsets "
        f"have {both(results, less[0])}: {judged(results, less[0], tuned[2])} over all of the data "
        f"with its own. At 20 % that is over: {gain(results, less[1], tuned[2])}.\n\n"
        f"{equal(results)}\n\n{mild(results)}"
    )


def equal(results: Results) -> str:
    """Equal quotas beside DRoP's on the long tail, in words."""
    sentences = []
    for offsets, words in ((LOG_PRIOR, "with log-prior offsets"), (PLAIN, "without offsets")):
        found: dict[str, list[str]] = {}
        for density in (0.5, 0.3, 0.2):
            ours = Arm(EQUAL, density, LONG_TAIL, offsets)
            worst = results.difference(WORST, ours, replace(ours, method=DROP))
            if worst is not None:
                word = worst.doubt or ("above" if worst.mean > 0 else "below")
                found.setdefault(word, []).append(f"{density:g} ({worst})")
        verdicts = (f"{word} at d = {', '.join(cells)}" for word, cells in found.items())
        sentences.append(f"{words} {'; '.join(verdicts)}")
    ours = Arm(EQUAL, 0.5, LONG_TAIL, LOG_PRIOR)
    return (
        '**Equal quotas on the long tail** (`rule="balanced"`). Minus Random, with log-prior '
        f"offsets: {judged(results, ours, replace(ours, method=RANDOM))}. Minus DRoP: "
        f"{'; '.join(sentences)}."
    )


def mild(results: Results) -> str:
    """Ten samples for one: quotas, log-prior offsets, and one beside the other."""
    plain = {name: Arm(name, 0.5, MILD_TAIL) for name in (DROP, CLOSED, RANDOM, FULL)}
    lifted = {name: replace(arm, offsets=LOG_PRIOR) for name, arm in plain.items()}
    adds = {name: judged(results, lifted[name], plain[name]) for name in plain}
    return (
        f"**A milder tail, 10 to 1** ({seeds_of(results, plain.values())} seeds). Half of the data "
        f"has {both(results, plain[DROP])} with DRoP and {both(results, plain[RANDOM])} with "
        f"Random: {judged(results, plain[DROP], plain[RANDOM])}; in closed form, the default, "
        f"{judged(results, plain[CLOSED], plain[RANDOM])}. Log-prior offsets add "
        f"{adds[DROP]}, to DRoP; {adds[CLOSED]}, to the default; {adds[RANDOM]}, to Random. All of "
        f"the data with them has {both(results, lifted[FULL])}, without "
        f"{both(results, plain[FULL])}.\n"
    )


def by_default(arm: Arm) -> Arm:
    """The same with recalls in closed form."""
    return replace(arm, method=CLOSED)


def when(results: Results) -> str:
    """When to use what, each line with its figure."""
    drop, random, full = (Arm(name, 0.5) for name in (DROP, RANDOM, FULL))
    long = replace(drop, dataset=LONG_TAIL)
    part, log_prior = replace(drop, offsets=PART), replace(long, offsets=LOG_PRIOR)
    tuned = replace(long, offsets=TUNED)
    low, high = Arm(DROP, 0.2), Arm(DROP, 0.8)
    hard = replace(low, method="el2n")
    noisy = replace(drop, dataset="noisy-20")
    closed = by_default(drop)
    few = replace(long, method=EQUAL, density=0.2)
    few_lifted = replace(few, offsets=LOG_PRIOR)
    rows = [
        (
            "classes of equal size, half or less is kept",
            "DRoP; by default with recalls in closed form",
            f"over Random {judged(results, closed, random)}; with those of five query models "
            f"{judged(results, drop, random)}; d = 0.5",
        ),
        (
            "the same, and a validation set",
            'DRoP, and a part of `class_offsets(method="tuned")` (`strength=`)',
            f"{judged(results, part, drop)} more",
        ),
        (
            "a long tail",
            "DRoP + log-prior offsets: no validation set needed",
            f"{both(results, long)} becomes {both(results, log_prior)}; in closed form "
            f"{both(results, by_default(long))} becomes {both(results, by_default(log_prior))}",
        ),
        (
            "a long tail, and a validation set",
            "DRoP + tuned offsets",
            f"{both(results, long)} becomes {both(results, tuned)}; in closed form "
            f"{both(results, by_default(long))} becomes {both(results, by_default(tuned))}",
        ),
        (
            "a long tail, and very few are kept",
            'equal quotas, `rule="balanced"`, + log-prior offsets',
            f"over DRoP {judged(results, few_lifted, replace(few_lifted, method=DROP))}; without "
            f"offsets {judged(results, few, replace(few, method=DROP))}; d = 0.2",
        ),
        (
            "query models cost too much",
            "recalls in closed form: the default",
            f"against those of five query models {judged(results, closed, drop)}",
        ),
        (
            "some labels are wrong",
            "DRoP; no score that keeps the hardest, no loss weighted by errors",
            f"over Random {judged(results, noisy, replace(noisy, method=RANDOM))}; over EL2N "
            f"{judged(results, noisy, replace(noisy, method='el2n'))}; a fifth of them wrong",
        ),
        (
            "all of the data can be trained on",
            "a part of the tuned offsets, no pruning",
            f"{both(results, full)} becomes {both(results, replace(full, offsets=PART))}",
        ),
        (
            "nearly all is kept (d = 0.8)",
            "quotas hardly matter",
            f"over Random {judged(results, high, Arm(RANDOM, 0.8))}",
        ),
        (
            "very few are kept",
            "DRoP; no difficulty score alone",
            f"over EL2N {judged(results, low, hard)}; over Forgetting "
            f"{judged(results, low, replace(low, method='forgetting'))}; d = 0.2",
        ),
        (
            "a weak model and few samples",
            "mind the warning of `apply_drop` that quotas go too far",
            "the worst risk rises in up to 3 of 4 settings of "
            "[the theory](evidence-tables.md#why-it-works-and-where-it-cannot)",
        ),
        (
            "groups inside classes go wrong",
            "`group_by=`",
            "[worst group](evidence-tables.md#groups): class quotas see nothing to repair",
        ),
    ]
    return table(("you have", "use", "worst class (average), points"), rows)


def bargain(results: Results) -> str:
    """Which of the ways that keep the same number of images gain 3 points for at most 1."""
    words, always = [], set(WAYS)
    for density in (0.3, 0.5):
        drop = Arm(DROP, density)
        arms = [Arm(name, density, offsets=PART) for name in WAYS if name != FULL]
        found = [arm for arm in arms if three_for_one(results, arm, drop)]
        always &= {arm.method for arm in found}
        named = " and ".join(
            f"{METHODS[arm.method].title} ({gain(results, arm, drop)})" for arm in found
        )
        words.append(f"at d = {density:g} {named or 'none'}")
    both_times = " and ".join(METHODS[name].title for name in WAYS if name in always)
    return (
        "Which way gains 3 points of the worst class over Random + DRoP, with an interval that "
        "excludes 0, for at most 1 point of the average? With the part of the tuned offsets that "
        f"the rule takes, {'; '.join(words)}. At both densities: {both_times or 'none'}. "
        "[All that were tried](evidence-tables.md#a-part-of-the-offsets).\n"
    )
