"""The lock of a writer: who holds it, how long another waits, what a kill leaves."""

import json
import subprocess
import sys
import threading
import time

import pytest

from sightline.errors import IndexLocked
from sightline.index import lock

pytestmark = pytest.mark.system

HOLD = """
import sys, time
from pathlib import Path
from sightline.index import lock
with lock.writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold(tmp_path):
    """Start processes that hold the lock of `tmp_path`."""
    started = []

    def start(seconds):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), str(seconds)], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_writer_is_told_who_holds_the_index(tmp_path, hold):
    holder = hold(60)
    with pytest.raises(IndexLocked, match=rf"{tmp_path}.* process {holder.pid} since \d{{4}}-"), lock.writer(tmp_path):
        pytest.fail("two writers")


def test_waiting_ends_when_the_holder_is_done_or_the_time_is_up(tmp_path, hold):
    hold(0.5)
    with lock.writer(tmp_path, wait=30):
        began = time.monotonic()
        with pytest.raises(IndexLocked), lock.writer(tmp_path, wait=0.3):
            pytest.fail("two writers")
        assert time.monotonic() - began >= 0.3


def test_looking_whether_it_is_held_refuses_nobody(tmp_path):
    """`fsck` looks; a writer that starts at that instant must not be sent away."""
    looking = True

    def look():
        while looking:
            lock.is_held(tmp_path)
            time.sleep(0.0005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(300):
            with lock.writer(tmp_path):
                pass
    finally:
        looking = False
        thread.join()


def test_the_lock_of_a_killed_writer_is_free(tmp_path, hold):
    holder = hold(60)
    holder.kill()
    holder.wait()
    with lock.writer(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] != holder.pid


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        with lock.writer(tmp_path, wait=30):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_broken_note_does_not_matter(tmp_path):
    with lock.writer(tmp_path):
        (tmp_path / lock.NAME).write_bytes(b"\xff{")
        with pytest.raises(IndexLocked, match="another process"), lock.writer(tmp_path):
            pytest.fail("two writers")
