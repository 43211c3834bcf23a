from shelf import Shelf


def test_find(cov):
    shelf = Shelf()
    shelf.add("Emma")
    assert shelf.find("E") == ["Emma"]


def test_no_cover(no_cover):
    assert Shelf().find("E") == []


def test_wrong(worker_id, testrun_uid):
    assert Shelf().find("E") == ["Emma"]
