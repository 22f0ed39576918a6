"""How long trials wait for a node that could take them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sweeps.places import PlaceWatch
from sweeps.resources import Node, Resources


@dataclass
class Place:
    """A watch over nodes that come and go by a clock that is set by hand."""

    now: float = 0.0
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        resources = Resources(cpus_per_trial=3, gpus_per_trial=2)
        self.watch = PlaceWatch(resources, lambda: self.nodes, 90.0, lambda: self.now)

    def lack(self, now: float, *, is_wanted: bool = True) -> str | None:
        self.now = now
        return self.watch.lack(is_wanted=is_wanted)


def test_lack_is_named_once_it_has_lasted() -> None:
    place = Place(nodes=[Node("a", 8, 1), Node("b", 2, 4)])
    assert place.lack(0) is None
    assert place.lack(89) is None
    lack = place.lack(91)
    assert lack is not None
    assert "for 1.5 minutes no node of the cluster has had 3 CPUs and 2 GPUs" in lack
    assert "start one that has" in lack


def test_node_that_comes_back_ends_the_wait() -> None:
    place = Place()
    assert place.lack(0) is None
    place.nodes = [Node("a", 3, 2)]
    assert place.lack(89) is None
    place.nodes = []
    assert place.lack(100) is None
    assert place.lack(189) is None
    assert place.lack(191) is not None


def test_time_in_which_nothing_waits_does_not_count() -> None:
    place = Place()
    assert place.lack(0) is None
    assert place.lack(100, is_wanted=False) is None
    assert place.lack(200) is None
    assert place.lack(291) is not None


def test_nodes_are_asked_for_once_a_second() -> None:
    place, asked = Place(), []
    place.watch.nodes = lambda: asked.append(place.now) or []  # type: ignore[func-returns-value]
    for tenth in range(25):
        place.lack(tenth / 8)
    assert asked == [0, 1, 2, 3]
