"""Every call that writes, every write, every way to fail: the old state or the new, no mixture.

After each fault somebody else looks at the dataset, and then the same call is made again.
"""

import pytest
from cells import LONG, cell
from pymongo.errors import AutoReconnect
from shared_dataset import difference, expire_leases, problems_of, restore, state_of
from writing_calls import CALLS

from fiftyone_drop import DropError

FAULTS = {
    "write fails once": ("before", AutoReconnect),
    "write fails after its effect": ("after", AutoReconnect),
    "writes fail from then on": ("from then on", AutoReconnect),
    "Ctrl-C at a write": ("before", KeyboardInterrupt),
    "Ctrl-C after a write": ("after", KeyboardInterrupt),
}
CASES = 3  # of each cell, where not all of them are run


def some(n, salt):
    """The numbers from 1 to n; without the long switch a few of them, others for each salt."""
    if LONG or n <= CASES:
        return range(1, n + 1)
    step = n / CASES
    start = hash_of(salt) % max(1, int(step))
    return sorted({min(n, 1 + start + int(i * step)) for i in range(CASES)})


def hash_of(words):
    return sum(map(ord, words))


def problems_after(dataset, snapshot, call, ends, number):
    """What is wrong after a fault, and after the same call was made again."""
    before, after = ends
    expire_leases()
    problems = []
    if number % 2 == 0:  # else the session goes on without a look that loads everything anew
        problems = problems_of(snapshot, call, before, after)
    try:
        call(dataset)
    except DropError as error:
        if state_of(snapshot) != after:
            problems.append(f"made again, the call is refused: {error}")
    except Exception as error:
        problems.append(f"made again, the call fails: {error!r}")
    state = state_of(snapshot)
    if state != after:
        problems.append(f"made again, it differs: {difference(state, after)}")
    return problems


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CALLS)
def test_a_write_that_fails_leaves_the_old_or_the_new(snapshot, ends, writes, name, fault):
    """And the same call made again comes to its end, as if nothing had happened."""
    call, (way, error) = CALLS[name], FAULTS[fault]
    known = ends(name, call)
    dataset = restore(snapshot)
    writes.reset()
    call(dataset)
    total = writes.count
    with cell(name, fault) as counted:
        for at in some(total, name + fault):
            dataset = restore(snapshot)
            writes.reset(at, way, error)
            try:
                call(dataset)
            except (AutoReconnect, KeyboardInterrupt, DropError):
                pass
            finally:
                writes.reset()
            problems = problems_after(dataset, snapshot, call, known, at)
            counted.add(problems, f"write {at} of {total}")
