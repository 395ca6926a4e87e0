"""Graphs of 250,000 objects built and dropped; one object in fifty outlives its graph.

The nodes have a __dict__, a list of neighbours, a tuple and a string each: the collector walks all
of it, in the order in which it was made.
"""

from __future__ import annotations

import random

from bench.python.harness import Report, main

GRAPHS = 18
OBJECTS = 250_000
SURVIVES_ONE_IN = 50


class Node:
    """A node that points back at an earlier one, so that only the collector can free the graph."""

    def __init__(self, number: int, previous: Node | None) -> None:
        self.number = number
        self.label = f"node {number}"
        self.neighbours: list[Node] = [] if previous is None else [previous]
        self.place = (number / 3, number)
        if previous is not None and number % 4 == 0:
            previous.neighbours.append(self)


def build(objects: int) -> list[Node]:
    """As many nodes as it takes: each is five objects (node, dict, label, list, tuple)."""
    nodes: list[Node] = []
    previous = None
    for number in range(objects // 5):
        previous = Node(number, previous)
        nodes.append(previous)
    return nodes


def workload(_: Report) -> list[Node]:
    """Builds and drops the graphs; returns the survivors, cut off from the rest."""
    chooser = random.Random(17)
    survivors = []
    for _graph in range(GRAPHS):
        nodes = build(OBJECTS)
        for node in chooser.sample(nodes, len(nodes) // SURVIVES_ONE_IN):
            node.neighbours = []
            survivors.append(node)
    return survivors


if __name__ == "__main__":
    main(workload)
