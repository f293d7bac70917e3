import pytest

from agent.tools.widths import columns, em_width, share


def test_chinese_takes_two_columns_and_one_em():
    assert columns("ab中文") == 6
    assert columns("e\u0301") == 1
    assert em_width("中文") == 2.0
    assert em_width("ab") < 1.5


@pytest.mark.parametrize("naturals", [[10, 20, 30], [10, 500, 2000], [300, 300, 300], [1]])
def test_columns_fill_the_room(naturals):
    widths = share(naturals, 400)
    assert sum(widths) == pytest.approx(400)
    assert widths == sorted(widths)


def test_narrow_columns_get_what_they_want():
    narrow, middling, wide = share([40, 500, 5000], 400)
    assert narrow == 40
    assert middling < wide
