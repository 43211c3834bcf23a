from door import Door


def test_many():
    assert {Door().state for _ in range(3)} == {"locked"}
