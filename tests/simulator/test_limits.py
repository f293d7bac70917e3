"""Windows and interactions against naive models."""

from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.interactions import Interactions
from agent.simulator.limits import Window


@given(
    gaps=st.lists(st.sampled_from([0.0, 0.5, 7.0, 30.0, 59.9, 60.0, 1800.0]), max_size=80),
    per_minute=st.integers(0, 5),
    per_hour=st.integers(0, 12),
)
def test_a_window_never_admits_more_than_its_limits(gaps: list[float], per_minute: int, per_hour: int) -> None:
    window, now, admitted = Window(per_minute, per_hour), 0.0, list[float]()
    for gap in gaps:
        now += gap
        minute = sum(now - at < 60 for at in admitted)
        hour = sum(now - at < 3600 for at in admitted)
        expected = (not per_minute or minute < per_minute) and (not per_hour or hour < per_hour)
        assert window.admit(now) == expected
        if expected:
            admitted.append(now)


def test_interactions_are_first_come_first_served() -> None:
    line: Interactions[str] = Interactions(2, 60)
    line.begin("a", "1", 0)
    line.begin("a", "2", 0)
    assert line.is_full("a", 0)
    assert not line.is_full("b", 0)
    line.hold("a", "third")
    line.hold("a", "fourth")
    assert line.release("a", 0) is None
    assert line.end("a", "1")
    assert not line.end("a", "1")
    assert line.is_full("a", 0)  # whoever comes now stands behind those who wait
    assert line.release("a", 0) == "third"
    line.begin("a", "3", 0)
    assert line.release("a", 0) is None
    assert line.release("a", 61) == "fourth"  # the unanswered ones expired
    assert line.users_waiting() == []


def test_no_limit_of_interactions() -> None:
    line: Interactions[str] = Interactions(0, 60)
    for number in range(100):
        assert not line.is_full("a", 0)
        line.begin("a", str(number), 0)
