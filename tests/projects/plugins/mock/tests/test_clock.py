import clock


def test_process(mocker):
    mocker.patch("os.getpid", return_value=1)
    assert clock.process() == "process 1"


def test_took(mocker):
    mocker.patch("time.perf_counter", side_effect=[1, 3])
    mocker.patch("time.time", return_value=0)
    assert clock.took(lambda: None) == 2


def test_end(mocker):
    leave = mocker.patch("os._exit")
    fork = mocker.patch("os.fork", return_value=7)
    assert clock.end(3) == 7
    assert clock.end(0) == 7
    leave.assert_called_once_with(3)
    assert fork.call_count == 2


def test_note(mocker):
    write = mocker.patch("os.write", return_value=4)
    assert clock.note(99, b"text") == 4
    write.assert_called_once_with(99, b"text")


def test_wrong_call(mocker):
    stub = mocker.stub(name="bell")
    stub(1)
    stub.assert_called_once_with(2)
