"""The client, the database, the line between them, or the disk fails while a call writes.

Sessions are processes of their own. Afterwards somebody else looks, and the call is made again.
"""

import subprocess
import time

import numpy as np
import pytest
from cells import LONG, cell
from servers import Disk, Proxy, Server, until
from shared_dataset import difference, expire_leases, problems_of, restore
from writing_calls import CALLS

KILLS = 30 if LONG else 1
RESTARTS = 10 if LONG else 1
CUTS = 10 if LONG else 1
OUTAGES = 6 if LONG else 1
# Without the long switch these stand for all
SOME = ("apply_drop", "set_density", "apply_drop, overwrite")
AWAY = ("apply_drop, overwrite, query models", "compute_scores, another model", "delete_drop")
DURATIONS = {}  # of the calls that were measured
BETWEEN = ("apply_drop, overwrite", "compute_scores", "set_density")
NOTICED = 0.7  # seconds in which a client's own thread sees that the server is another one
STRAGGLER = 0.2  # seconds in which the server may still be at work for a dead client


def seed_of(name):
    return sum(map(ord, name))


@pytest.fixture
def duration(clients, uri, snapshot):
    """A function that tells the seconds of a call from its first write to its end."""

    def find(name):
        if name not in DURATIONS:
            session = clients.session(uri)
            session.ask("restore", snapshot)
            DURATIONS[name] = session.ask("call", name)
            session.close()
        return DURATIONS[name]

    return find


def problems_again(outcome, before_again, state, after):
    """What is wrong after the same call was made again, with its outcome and the two states."""
    kind, words = outcome
    problems = []
    if kind == "failed" or (kind == "refused" and before_again != after):
        problems.append(f"made again, the call is refused: {words}")
    if state != after:
        problems.append(f"made again, it differs: {difference(state, after)}")
    return problems


@pytest.mark.parametrize("name", CALLS if LONG else SOME)
def test_a_client_that_is_killed_leaves_the_old_or_the_new(
    snapshot, ends, clients, uri, duration, name
):
    call, seed = CALLS[name], seed_of(name)
    before, after = ends(name, call)
    moments = np.random.default_rng(seed).uniform(0, 1.1 * duration(name), KILLS)
    with cell(name, "client killed", seed) as counted:
        for moment in moments:
            restore(snapshot)
            session = clients.session(uri)
            session.ask("open", snapshot)
            session.tell("call", name)
            session.until_it_writes()
            time.sleep(moment)
            session.kill()
            time.sleep(STRAGGLER)
            expire_leases()
            problems = problems_of(snapshot, call, before, after)
            other = clients.session(uri)
            other.ask("open", snapshot)
            problems += made_again(other, snapshot, name, after)
            other.close()
            counted.add(problems, f"killed after {moment:.3f} s")


def made_again(session, snapshot, name, after):
    """What is wrong after a session that can reach the server has made the call again."""
    before_again = session.ask("state", snapshot)
    session.tell("call", name)
    outcome = session.answer()
    return problems_again(outcome, before_again, session.ask("state", snapshot), after)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A MongoDB server that can be killed."""
    folder = tmp_path_factory.mktemp("server")
    started = Server(folder / "db", folder / "log")
    started.start()
    yield started
    started.kill()


def afterwards(clients, uri, snapshot, name, ends, answer, session):
    """What is wrong once the server is back, in the eyes of somebody who has just come."""
    before, after = ends
    looker = clients.session(uri)
    looker.ask("open", snapshot)
    problems = []
    if answer[0] == "ok" and (state := looker.ask("state", snapshot)) != after:
        problems.append(f"it said that it was done, but: {difference(state, after)}")
    problems += looker.ask("problems", snapshot, name, before, after)
    problems += made_again(session or looker, snapshot, name, after)
    looker.close()
    return problems


@pytest.mark.parametrize("name", CALLS if LONG else SOME[-1:])
def test_a_database_that_is_killed_comes_back_with_the_old_or_the_new(
    snapshot, ends, clients, server, duration, name
):
    known, seed = ends(name, CALLS[name]), seed_of(name)
    moments = np.random.default_rng(seed).uniform(0, 1.1 * duration(name), RESTARTS)
    with cell(name, "database killed", seed) as counted:
        for number, moment in enumerate(moments):
            session = clients.session(server.uri)
            session.ask("restore", snapshot)
            session.tell("call", name)
            session.until_it_writes()
            if number % 3 == 0:  # right after it has said that it is done
                answer = session.answer()
                server.kill()
                server.start()
            else:
                time.sleep(moment)
                server.kill()
                server.start()
                answer = session.answer()
            same = session if number % 2 else None
            problems = afterwards(clients, server.uri, snapshot, name, known, answer, same)
            session.close()
            when = "after its end" if number % 3 == 0 else f"after {moment:.3f} s"
            counted.add(problems, f"killed {when}")


def after_waiting(clients, uri, snapshot, name, ends, session):
    """What is wrong once a call has ended that was to wait for the server."""
    answer = session.answer()
    problems = [] if answer[0] == "ok" else [f"it did not wait: {answer[1]}"]
    problems += afterwards(clients, uri, snapshot, name, ends, answer, None)
    session.close()
    return problems


@pytest.mark.parametrize("name", CALLS if LONG else AWAY)
def test_a_call_waits_for_a_database_that_is_away_and_ends_as_if_it_had_not_been(
    snapshot, ends, clients, server, duration, name
):
    """Whether or not its lease has expired meanwhile; nobody else writes here."""
    known, seed = ends(name, CALLS[name]), seed_of(name + "away")
    rng = np.random.default_rng(seed)
    with cell(name, "database away for a while", seed) as counted:
        for _ in range(OUTAGES):
            moment = rng.uniform(0, 1.1 * duration(name))
            how, lease_seconds = rng.choice(["killed", "stopped"]), rng.choice([0.5, 20])
            session = clients.session(server.uri)
            session.ask("restore", snapshot)
            session.ask("wait", 60, float(lease_seconds))
            session.tell("call", name)
            session.until_it_writes()
            time.sleep(moment)
            if how == "killed":
                server.kill()
            else:
                server.stop()
            time.sleep(1)
            server.start()
            problems = after_waiting(clients, server.uri, snapshot, name, known, session)
            counted.add(problems, f"{how} after {moment:.3f} s, leases of {lease_seconds} s")


@pytest.mark.parametrize("name", CALLS if LONG else BETWEEN)
def test_a_database_that_has_lost_writes_unnoticed_is_noticed(
    snapshot, ends, clients, server, name
):
    """The next statement succeeds on the server's next process, as if nothing had happened."""
    known, seed = ends(name, CALLS[name]), seed_of(name + "between")
    total = ends.writes[name]
    moments = range(2, total + 1) if LONG else [2 + seed % (total - 1)]
    with cell(name, "database killed between writes", seed) as counted:
        for at in moments:
            session = clients.session(server.uri)
            session.ask("restore", snapshot)
            session.ask("wait", 60, 20)
            session.tell("call", name, at)
            session.until_it_writes()
            server.kill()
            server.start()
            time.sleep(NOTICED)
            session.go_on()
            problems = after_waiting(clients, server.uri, snapshot, name, known, session)
            counted.add(problems, f"killed before write {at} of {total}")


@pytest.fixture(scope="module")
def proxy(uri):
    """A line to the server of these tests that can be cut."""
    line = Proxy(int(uri.rpartition(":")[2]))
    yield line
    line.close()


@pytest.mark.parametrize("how", ["for a while", "for good"])
@pytest.mark.parametrize("name", CALLS if LONG else SOME[-1:])
def test_a_connection_that_is_cut_leaves_the_old_or_the_new(
    snapshot, ends, clients, uri, proxy, duration, name, how
):
    known, seed = ends(name, CALLS[name]), seed_of(name + how)
    moments = np.random.default_rng(seed).uniform(0, duration(name), CUTS)
    with cell(name, f"connection cut {how}", seed) as counted:
        for number, moment in enumerate(moments):
            restore(snapshot)
            session = clients.session(proxy.uri(5 if how == "for a while" else 0.3))
            session.ask("open", snapshot)
            session.tell("call", name)
            session.until_it_writes()
            time.sleep(moment)
            proxy.cut()
            if how == "for a while":
                time.sleep(0.3)
                proxy.mend()
                answer = session.answer()
            else:
                answer = session.answer()
                session.close()
                proxy.mend()
            same = session if number % 2 and how == "for a while" else None
            problems = afterwards(clients, uri, snapshot, name, known, answer, same)
            session.close()
            counted.add(problems, f"cut after {moment:.3f} s")


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A server on a small disk, and the disk."""
    folder = tmp_path_factory.mktemp("disk")
    try:
        disk = Disk(folder / "db")
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"a small disk cannot be mounted here, which needs root: {error}")
    started = Server(folder / "db" / "data", folder / "log")
    started.start()
    yield started, disk
    started.kill()
    disk.unmount()


@pytest.mark.parametrize("name", CALLS if LONG else SOME[:1])
def test_a_disk_that_is_full_leaves_the_old_or_the_new(
    snapshot, ends, clients, small_disk, duration, name
):
    server, disk = small_disk
    known, seed = ends(name, CALLS[name]), seed_of(name)
    rng = np.random.default_rng(seed)
    with cell(name, "disk full", seed) as counted:
        for number in range(CUTS):
            session = clients.session(server.uri)
            session.ask("restore", snapshot)
            left = int(rng.integers(0, 16)) * 4096
            disk.fill(left)
            session.tell("call", name)
            answer = None
            try:
                session.until_it_writes()
                until(lambda: server.ended, 2 * duration(name) + 0.5)
            finally:
                disk.empty()
            ended = server.ended
            if ended:
                server.start()
            answer = session.answer()
            same = session if number % 2 else None
            problems = afterwards(clients, server.uri, snapshot, name, known, answer, same)
            session.close()
            counted.add(problems, f"{left} bytes left, {'aborted' if ended else 'alive'}")
