import pytest

from cof.scoring.answers import exact


@pytest.mark.parametrize(
    ("answer", "truth", "score"),
    [
        ("K", "K", 1.0),
        (" k. ", "K", 1.0),
        ("light  blue", "Light blue", 1.0),
        ("KK", "K", 0.0),
        ("", "K", 0.0),
        (None, "K", 0.0),
        ("K", None, None),
    ],
)
def test_exact(answer, truth, score):
    assert exact(answer, truth) == score
