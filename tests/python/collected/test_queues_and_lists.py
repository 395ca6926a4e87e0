"""Priority queues against heapq, and lists against list."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc

from .shapes import graph_classes

np = pytest.importorskip("numpy")

NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.floats(allow_nan=False)
KINDS = st.sampled_from(["number", "bytes", "record"])
OPERATIONS = st.sampled_from(["push", "push", "pop", "many", "pop many", "collect"])


def plain(value: Any) -> Any:
    """Return what stands for a value in the model: a number."""
    if isinstance(value, trimalloc.Record):
        return value.id
    return int(value) if not isinstance(value, bytes) else int(value or b"0")


class Values:
    """Values of one kind, each for a number."""

    def __init__(self, kind: str) -> None:
        self.world = graph_classes(checked=True)
        self.heap = self.world.heap
        self.kind = kind
        self.type = {"number": int, "bytes": bytes, "record": self.world.Vertex}[kind]

    def one(self, number: int) -> Any:
        if self.kind == "record":
            return self.world.Vertex(id=number)
        return number if self.kind == "number" else b"%d" % number

    def many(self, numbers: list[int]) -> Any:
        if self.kind != "record":
            return [self.one(number) for number in numbers]
        batch = self.world.Vertex.batch(len(numbers))
        batch.id = np.array(numbers, "i8")
        return batch


@settings(max_examples=80, deadline=None)
@given(data=st.data(), kind=KINDS, whole=st.booleans())
def test_a_queue_is_like_heapq(data: st.DataObject, kind: str, whole: bool) -> None:
    values = Values(kind)
    priorities = NUMBERS if whole else FLOATS
    queue: Any = values.heap.priority_queue(trimalloc.int64 if whole else float, values.type)
    model: list[Any] = []
    value_of: dict[int, Any] = {}  # each value's priority: of equals any may come first

    def check(priority: Any, value: Any) -> None:
        assert priority == heapq.heappop(model)
        assert value_of.pop(plain(value)) == priority

    for step in range(data.draw(st.integers(0, 25))):
        operation = data.draw(
            st.sampled_from(["push", "push", "pop", "many", "pop many", "collect"])
        )
        if operation == "push":
            priority = data.draw(priorities)
            queue.push(priority, values.one(step * 1000))
            heapq.heappush(model, priority)
            value_of[step * 1000] = priority
        elif operation == "many":
            given_now = data.draw(st.lists(priorities, max_size=30))
            numbers = [step * 1000 + i for i in range(len(given_now))]
            queue.push_many(given_now, values.many(numbers))
            for priority in given_now:
                heapq.heappush(model, priority)
            value_of |= dict(zip(numbers, given_now, strict=True))
        elif operation == "pop" and model:
            first, _ = queue.peek()
            assert first == model[0]
            check(*queue.pop())
        elif operation == "pop many":
            found, popped = queue.pop_many(data.draw(st.integers(0, 20)))
            assert len(found) == len(popped)
            for priority, value in zip(found.tolist(), popped, strict=True):
                check(priority, value)
        elif operation == "collect":
            values.heap.collect()
        queue._verify()
        assert len(queue) == len(model)
    queue.shrink()
    values.heap.collect()
    values.heap.verify()
    while queue:
        check(*queue.pop())
    with pytest.raises(IndexError, match="empty"):
        queue.pop()


def test_a_priority_has_a_place() -> None:
    heap = trimalloc.Heap()
    queue = heap.priority_queue(float, int)
    with pytest.raises(ValueError, match="NaN"):
        queue.push(float("nan"), 1)
    with pytest.raises(ValueError, match="NaN"):
        queue.push_many([0.5, float("nan")], 1)
    assert len(queue) == 0
    queue.push_many([float("inf"), -0.0, -1.5, float("-inf")], [1, 2, 3, 4])
    assert queue.pop_many(9)[1].tolist() == [4, 3, 2, 1]
    with pytest.raises(TypeError, match="priorities are"):
        heap.priority_queue(bytes, int)


def test_a_list_is_no_guess_at_what_its_values_are() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Order:
        item: trimalloc.int64

    assert [one.item for one in heap.list(Order, [Order(item=7)])] == [7]
    (number,) = heap.list(int, [7])
    assert type(number) is int


@pytest.mark.parametrize("kind", ["number", "bytes", "record"])
def test_a_list_is_extended_by_itself(kind: str) -> None:
    values = Values(kind)
    numbers = list(range(1500))  # more than an iteration fetches at once
    made: Any = values.heap.list(values.type, values.many(numbers))
    made.extend(made)
    assert [plain(one) for one in made] == 2 * numbers


def test_negative_numbers_of_entries_are_refused() -> None:
    heap = trimalloc.Heap()
    made, queue = heap.list(int, [1, 2]), heap.priority_queue(int, int)
    queue.push(1, 1)
    with pytest.raises(ValueError, match="no -1 items"):
        made.truncate(-1)
    with pytest.raises(ValueError, match="no -1 entries"):
        queue.pop_many(-1)
    assert (len(made), len(queue)) == (2, 1)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), kind=KINDS)
def test_a_list_is_like_list(data: st.DataObject, kind: str) -> None:
    values = Values(kind)
    made: Any = values.heap.list(values.type)
    model: list[int] = []
    for step in range(data.draw(st.integers(0, 25))):
        operation = data.draw(
            st.sampled_from(["append", "extend", "pop", "set", "set many", "truncate", "collect"])
        )
        if operation == "append":
            made.append(values.one(step))
            model.append(step)
        elif operation == "extend":
            numbers = list(range(data.draw(st.integers(0, 50))))
            made.extend(values.many(numbers))
            model.extend(numbers)
        elif operation == "pop" and model:
            assert plain(made.pop()) == model.pop()
        elif operation == "set" and model:
            index = data.draw(st.integers(-len(model), len(model) - 1))
            made[index] = values.one(step)
            model[index] = step
        elif operation == "set many" and model:
            indices = data.draw(st.lists(st.integers(-len(model), len(model) - 1), unique=True))
            made.set_many(indices, values.one(step))
            for index in indices:
                model[index] = step
        elif operation == "truncate":
            count = data.draw(st.integers(0, 60))
            made.truncate(count)
            del model[count:]
        elif operation == "collect":
            values.heap.collect()
    made.shrink()
    values.heap.collect()
    values.heap.verify()
    assert len(made) == len(model)
    assert [plain(one) for one in made] == model
    wanted = data.draw(st.slices(len(model)))
    assert [plain(one) for one in made[wanted]] == model[wanted]
    for index in (len(model), -len(model) - 1):
        with pytest.raises(IndexError):
            made[index]
        with pytest.raises(IndexError):
            made.get_many([index])


@contextmanager
def filled_by_turns(column: Any, *fills: float) -> Iterator[None]:
    """Have another thread write into an array meanwhile."""
    done = threading.Event()

    def fill() -> None:
        while not done.is_set():
            for one in fills:
                column[:] = one

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_indices_that_change_under_way_lead_nowhere_else() -> None:
    heap = trimalloc.Heap()
    numbers = heap.list(int, [0] * 1000)
    indices = np.zeros(200_000, "i8")
    with filled_by_turns(indices, 1 << 27, 0):
        for _ in range(100):
            with suppress(IndexError):
                numbers.set_many(indices, 7)
            with suppress(IndexError):
                assert set(np.unique(numbers.get_many(indices))) <= {0, 7}
    assert set(numbers) <= {0, 7}
    heap.verify()


def test_positions_that_change_under_way_select_from_the_batch() -> None:
    world = graph_classes()
    batch = world.Vertex.batch(1000)
    positions = np.zeros(4_000_000, "i8")
    with filled_by_turns(positions, 1 << 27, 0):
        for _ in range(20):
            with suppress(IndexError):
                assert np.isin(np.unique(batch[positions]), np.asarray(batch)).all()
    world.heap.verify()


def test_priorities_that_change_under_way_have_places() -> None:
    heap = trimalloc.Heap()
    queue = heap.priority_queue(float, int)
    priorities = np.zeros(1_000_000)
    with filled_by_turns(priorities, float("nan"), 0.0):
        for _ in range(20):
            with suppress(ValueError):
                queue.push_many(priorities, 1)
            assert not np.isnan(queue.pop_many(len(queue))[0]).any()


def test_lists_refuse_what_they_do_not_hold() -> None:
    world = graph_classes()
    made = world.heap.list(world.Vertex, [world.Vertex(id=1)])
    with pytest.raises(TypeError):
        made.append(world.Edge())
    with pytest.raises(TypeError, match="does not hold"):
        made.extend(world.Edge.batch(2))
    with pytest.raises(IndexError):
        made.set_many([0, 5], world.Vertex(id=2))
    assert [one.id for one in made] == [1]
    with pytest.raises(TypeError, match="truncate"):
        del made[0]  # type: ignore[attr-defined]
