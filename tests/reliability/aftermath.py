"""What must hold after a fault in this process, for others and for the call made again."""

from shared_dataset import difference, expire_leases, problems_of, state_of

from fiftyone_drop import DropError


def problems_after(dataset, snapshot, call, ends, *, looks=True):
    """What is wrong after a fault, and after the same call was made again, in words.

    Args:
        dataset: the dataset in the memory of the session that met the fault
        snapshot: of the dataset
        call: the call of the registry
        ends: the states before and after the call where it meets no fault
        looks: whether somebody looks in between, which loads everything anew
    """
    before, after = ends
    expire_leases()
    problems = problems_of(snapshot, call, before, after) if looks else []
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
