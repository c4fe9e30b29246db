"""A command that runs again and again stops when it is asked to, and never in the middle."""

import os
import signal
import threading
import time
from argparse import ArgumentTypeError

import pytest
from django.db import OperationalError

from session_mgmt.management.loop import Stopper, repeat, seconds

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Have Ctrl-C do what it does on a terminal; a shell starts background jobs without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_remembered_and_interrupts_nothing_but_the_wait(number):
    with Stopper() as stop:
        assert not stop.is_set()
        assert stop.wait(0.01) is False
        os.kill(os.getpid(), number)
        assert stop.is_set()
        assert stop.wait(1e9) is True
        assert stop.wait(1e9) is True, "it stays asked"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_wait_that_is_under_way(number):
    with Stopper() as stop:
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        assert stop.wait(60) is True


def test_asked_again_it_is_still_asked_once():
    with Stopper() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            stop.set()
        assert stop.wait(60) is True


def test_the_second_ctrl_c_interrupts_as_usual():
    with Stopper() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_mean_afterwards_what_they_meant_before():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stopper(), Stopper():
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_it_works_without_signals():
    passes = []

    def work(stop):
        passes.append(stop)
        if len(passes) == 3:
            stop.set()

    thread = threading.Thread(
        target=repeat, args=(work, 0.01), kwargs={"using": "default", "complain": passes.append}
    )
    thread.start()
    thread.join(30)
    assert len(passes) == 3


def test_work_can_ask_in_the_middle_whether_to_stop():
    batches = []

    def work(stop):
        while not stop.is_set():
            batches.append(len(batches))
            if len(batches) == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    repeat(work, 60, using="default", complain=batches.append)
    assert batches == [0, 1, 2, 3, 4]


def test_a_database_that_is_away_ends_one_pass_and_not_the_loop():
    passes, complaints = [], []

    def work(stop):
        passes.append(time.monotonic())
        if len(passes) == 3:
            stop.set()
        raise OperationalError("server closed the connection, password=canary")

    repeat(work, 0.01, using="default", complain=complaints.append)
    assert len(passes) == 3
    assert len(complaints) == 3
    assert complaints[0].startswith("The database did not answer (")


def test_another_error_ends_the_loop():
    def work(stop):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repeat(work, 0.01, using="default", complain=print)


def test_seconds_are_a_positive_number():
    assert seconds("0.5") == 0.5


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "", "soon", "1e999"])
def test_anything_else_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="is not a number of seconds"):
        seconds(text)
