"""Class tables for property tests, the weights of a rule over them, and names hard to show."""

import math

import numpy as np
from hypothesis import strategies as st

from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.rules import RULES, class_weights, get_rule

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    '"&amp;',
    "$x$",
]
RULES_WITH_QUOTAS = sorted(name for name, rule in RULES.items() if rule.sets_quotas)

densities = st.floats(min_value=1e-6, max_value=1.0, exclude_min=True)
class_tables = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.one_of(
            st.sampled_from([0.0, 1.0, math.nextafter(1, 0), 0.5, 0.9, 0.99]), st.floats(0, 1)
        ),
    ),
    min_size=1,
    max_size=15,
).map(lambda rows: (np.array([n for n, _ in rows]), np.array([r for _, r in rows])))
rules = st.sampled_from(RULES_WITH_QUOTAS)
floors = st.integers(0, 5)


def weights_of(rule, sizes, recalls):
    """The class weights of a rule, (K,) float."""
    return class_weights(get_rule(rule), {"sizes": sizes.astype(float), "recalls": recalls})


def large_table(k=10_000):
    """A class table of many classes."""
    rng = np.random.default_rng(51)
    sizes, recalls = rng.integers(10, 100, k), rng.random(k)
    quotas = np.ceil(sizes * (1 - recalls) / 2).astype(int)
    names = tuple(f"class {i:05}" for i in range(k))
    density = float(quotas.sum() / sizes.sum())
    return ClassTable(names, sizes, density, quotas, 1 - recalls, recalls=recalls)
