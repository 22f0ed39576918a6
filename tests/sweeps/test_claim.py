import contextlib
import re
import subprocess
import sys
import threading

import pytest

from reports.run_folder import RunFolder
from sweeps import claim
from sweeps.claim import AtWork, Claim, TakenOverError
from sweeps.driver_lock import only_driver
from sweeps.run_place import RunPlace
from sweeps.store import Store, StoreError
from sweeps.stored_run import StoredRun
from tests.sweeps.stores import (
    copier_at_work,
    go_on,
    held,
    held_there,
    made,
    silent,
    start,
    wait_until,
    write,
)


def test_second_machine_is_refused_while_the_first_lives(uri, machine, console):
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        machine("two")
        with pytest.raises(
            StoreError, match=r"mine: another tg-sweep .* \d+ on one\); wait for it"
        ):
            go_on(uri, console)
        state = r"process \d+ on one is at work on it, or was killed$"
        with pytest.raises(StoreError, match=rf"nothing is copied there yet; {state}"):
            RunPlace(uri=str(uri)).note()
        copier_at_work().copy()
        assert re.search(rf"last copied at .* from two; {state}", RunPlace(uri=str(uri)).note())
    go_on(uri, console)


def test_second_process_of_this_machine_is_refused_at_once(uri, machine, console):
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        with (
            only_driver(RunFolder(folder)),
            pytest.raises(StoreError, match=rf"of this machine .* on it, in {folder}"),
        ):
            go_on(uri, console)
    place = RunPlace(path=folder)
    with place.gone_on(console) as again:
        assert again.samefile(folder)


def test_of_two_that_claim_at_the_same_moment_none_or_one_is_at_work(uri, machine, console):
    stores = [Store(uri) for _ in range(4)]
    claims = [AtWork(store) for store in stores]
    barrier, taken = threading.Barrier(len(claims)), []

    def take(one):
        barrier.wait()
        with contextlib.suppress(StoreError):
            one.take(console)
            taken.append(one)

    threads = [threading.Thread(target=take, args=[one]) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) <= 1
    for one in taken:
        one.check()
        one.let_go()
    assert stores[0].names("at_work") == []


def test_process_taken_for_dead_notices_and_leaves_the_store_alone(
    uri, machine, console, monkeypatch, tmp_path
):
    def first():
        with StoredRun(uri).begun(console) as folder:
            made(folder)
            copier_at_work().copy()
            machine("two")
            go_on(uri, console, trials__0000__record_dot_json="two")
            machine("one")
            write(folder, trials__0001__record_dot_json="of the first")

    silent(monkeypatch)
    first_copy = r"process \d+ on two|another tg-sweep"
    with pytest.raises(
        StoreError, match=rf"({first_copy}) has .*what was done here is in .*mine, which .* aside"
    ):
        first()
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "two"
    assert "trials/0001/record.json" not in held_there(uri, tmp_path)
    assert held(StoredRun(uri).folder)["trials/0001/record.json"] == "of the first"


def test_claim_that_comes_back_from_the_dead_does_not_stop_who_took_over(
    uri, machine, console, monkeypatch
):
    silent(monkeypatch)
    first, second = AtWork(Store(uri)), AtWork(Store(uri))
    first.take(console)
    second.take(console)
    with pytest.raises(TakenOverError, match=r"process \d+ on one has taken this process for dead"):
        first.check()
    first._write()
    second.check()


def test_claim_that_is_not_listed_is_made_again(uri, machine, console, monkeypatch):
    one = AtWork(Store(uri))
    one.take(console)
    with monkeypatch.context() as unwell:
        unwell.setattr(Store, "names", lambda store, folder: [])
        one.store.remove(f"at_work/{one.token}.json")
        one.check()
    assert len(one.store.names("at_work")) == 1
    one.let_go()
    with pytest.raises(StoreError, match="given up"):
        one.check()
    assert one.store.names("at_work") == []


def test_process_that_has_died_on_this_machine_is_not_waited_for(
    uri, machine, console, monkeypatch
):
    monkeypatch.setattr(claim, "WATCH_SECONDS", 3600.0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    start(uri, console)
    store = Store(uri)
    left = AtWork(store).claim.model_copy(update={"pid": dead.pid})
    store.write(f"at_work/{left.token}.json", left.model_dump_json().encode())
    assert StoredRun(uri).note().endswith(f"process {dead.pid} on one was killed")
    go_on(uri, console)
    assert store.names("at_work") == []


def test_process_of_a_machine_that_says_nothing_of_its_start_is_not_judged(machine, uri):
    silent_one = AtWork(Store(uri)).claim.model_copy(update={"pid": 2**22 + 1, "boot": ""})
    assert not silent_one.is_dead


def test_claim_of_another_container_or_start_is_not_judged_by_its_process_id(machine, uri):
    dead = AtWork(Store(uri)).claim.model_copy(update={"pid": 2**22 + 1})
    assert dead.is_dead
    assert not dead.model_copy(update={"boot": "another"}).is_dead
    assert not dead.model_copy(update={"host": "another"}).is_dead
    assert Claim.model_validate_json(dead.model_dump_json()) == dead


def test_living_process_rewrites_its_claim(uri, machine, console):
    one = AtWork(Store(uri))
    one.take(console)
    wait_until(lambda: (found := claim.at_work(one.store)) is not None and found.beat >= 2)
    one.let_go()
    assert claim.at_work(one.store) is None
