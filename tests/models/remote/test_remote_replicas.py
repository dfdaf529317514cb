"""Several endpoints with one model: conversations stay where they began, are spread evenly, and leave a dead one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from cof.loop.run import run, run_many
from cof.models.remote.replicas import Replicas
from cof.types import Question
from tests.models.remote.endpoints import (
    ANSWER,
    PICTURE,
    QUESTION,
    ZOOM,
    Endpoint,
    Reply,
    by_turn,
    in_turn,
    listening,
    model_at,
)

ZOOMS = [ZOOM, ZOOM.replace("200]", "300]"), ANSWER]


def questions(count: int) -> list[Any]:
    return [(Question(str(n), ("",), f"What is {n}?"), PICTURE) for n in range(count)]


def heard(server: Endpoint) -> Counter[str]:
    """How many turns of each question a server was asked for."""
    return Counter(asked.body["messages"][1]["content"][-1]["text"].split("\n")[0] for asked in server.asked)


def test_a_conversation_stays_at_one_replica_and_each_gets_its_share() -> None:
    with listening(by_turn(*ZOOMS)) as one, listening(by_turn(*ZOOMS)) as other, listening(by_turn(*ZOOMS)) as third:
        traces = run_many(model_at(one, other, third, batch=6), questions(30))
    assert all(trace.answer == "B" for trace in traces)
    shares = [heard(server) for server in (one, other, third)]
    assert all(turns == 3 for share in shares for turns in share.values())
    assert sum(len(share) for share in shares) == 30
    assert min(len(share) for share in shares) >= 5


def test_one_after_the_other_they_take_turns() -> None:
    with listening(by_turn(ANSWER)) as one, listening(by_turn(ANSWER)) as other:
        run_many(model_at(one, other, batch=1), questions(6))
    assert (len(one.asked), len(other.asked)) == (3, 3)


def test_new_conversations_go_where_fewer_are_under_way() -> None:
    free = threading.Event()

    def slow(_: dict[str, Any]) -> Reply:
        free.wait(10)
        return Reply()

    def last(_: dict[str, Any]) -> Reply:
        if len(quick.asked) == 9:
            free.set()
        return Reply()

    with listening(slow) as stuck, listening(last) as quick:
        run_many(model_at(stuck, quick, batch=2), questions(10))
    assert (len(stuck.asked), len(quick.asked)) == (1, 9)


def test_a_replica_that_dies_in_mid_run_is_left_and_its_conversations_go_on_elsewhere() -> None:
    with listening(by_turn(*ZOOMS)) as stays, listening(by_turn(*ZOOMS)) as dies:
        lock, alive = threading.Lock(), [4]  # turns that it still lives

        def dying(body: dict[str, Any]) -> Reply:
            with lock:
                alive[0] -= 1
                if alive[0] == 0:
                    dies.socket.close()  # new connections are refused from here on
            return by_turn(*ZOOMS)(body) if alive[0] > 0 else Reply(status=0)

        dies.say = dying
        model = model_at(stays, dies, batch=4)
        traces = run_many(model, questions(16))
        assert [trace.answer for trace in traces] == ["B"] * 16
        assert not any(trace.error for trace in traces)
        assert len(heard(stays)) >= 14
        calls = len(dies.asked)
        run_many(model, questions(4))
        assert len(dies.asked) == calls
        assert [each.load for each in model.replicas.every] == [0, 0]


def test_a_replica_that_fails_fast_does_not_draw_everything_to_itself() -> None:
    with listening(in_turn(Reply(b"out of memory", 500))) as broken, listening(by_turn(*ZOOMS)) as works:
        traces = run_many(model_at(broken, works, batch=2), questions(10))
    assert [trace.answer for trace in traces] == ["B"] * 10
    assert len(broken.asked) <= 2


def test_who_is_asked_to_wait_waits_at_its_own_replica() -> None:
    with (
        listening(in_turn(Reply(b"", 429, {"Retry-After": "0.05"}), Reply())) as busy,
        listening(in_turn(Reply())) as idle,
    ):
        assert run(model_at(busy, idle), QUESTION, PICTURE).answer == "B"
    assert (len(busy.asked), len(idle.asked)) == (2, 0)


def test_one_that_hangs_is_left_alone_by_those_who_come_after() -> None:
    over = threading.Event()

    def hang(_: dict[str, Any]) -> Reply:
        over.wait()
        return Reply()

    with listening(hang) as stuck, listening(by_turn(ANSWER)) as works:
        traces = run_many(model_at(stuck, works, batch=1, seconds=3), questions(5))
        over.set()
    assert [trace.answer for trace in traces] == [None, "B", "B", "B", "B"]
    assert len(stuck.asked) == 1


def test_where_all_are_dead_the_run_fails_and_names_one() -> None:
    with listening(by_turn(ANSWER)) as one, listening(by_turn(ANSWER)) as other:
        model = model_at(one, other)
    trace = run(model, QUESTION, PICTURE)
    assert "did not answer (ConnectError" in str(trace.error)


def test_a_replica_that_failed_rests() -> None:
    places = Replicas(["a", "b"], rest=3600)
    first = places.take()
    second, awake = places.move(first)
    assert (first.url, second.url, awake) == ("a", "b", True)
    assert places.take() is second
    assert places.move(second) == (first, False)  # both rest: the one that wakes first, but not at once


def test_a_replica_is_tried_again_after_its_rest() -> None:
    places = Replicas(["a", "b"], rest=0.01)
    places.failed(places.take())
    time.sleep(0.02)
    assert {places.take().url for _ in range(3)} == {"a", "b"}


def test_one_that_answers_rests_no_longer() -> None:
    places = Replicas(["a", "b"])
    replica = places.take()
    places.failed(replica)
    assert places.take() is not replica
    places.worked(replica)
    places.leave(replica)
    assert places.take() is replica


def test_a_single_endpoint_is_asked_again_where_it_is() -> None:
    places = Replicas(["a"])
    replica = places.take()
    assert places.move(replica) == (replica, False)
    assert replica.load == 1
