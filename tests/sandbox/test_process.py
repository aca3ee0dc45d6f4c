"""Children end with their parent, and only the very process that was meant is ever ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.process import Identity, start, wait_until, write_atomically


NAP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]
PARENT = """
import sys, time
from pathlib import Path
from sandbox.process import start
child = start([sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_child_dies_with_its_parent_even_by_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Identity.of(int(parent.stdout.readline()))
        assert child is not None
        parent.kill()
    assert wait_until(lambda: not child.alive(), 10)


def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    tether = Path(__file__).parents[2] / "sandbox" / "tether.py"
    witness = tmp_path / "started"
    stranger = "1"
    done = subprocess.run([sys.executable, tether, stranger, "touch", witness], check=False)
    assert done.returncode == 1
    assert not witness.exists()


def test_a_reused_process_id_is_not_the_process(tmp_path: Path) -> None:
    child = start(NAP, tmp_path / "log")
    found = Identity.of(child.pid)
    assert found is not None
    earlier = Identity(found.pid, found.started - 1)
    earlier.end(patience=0.1)
    assert not earlier.alive()
    assert found.alive()
    found.end(patience=10)
    assert child.wait() == -signal.SIGTERM


def test_what_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = start(DEAF, log)
    assert wait_until(lambda: log.exists() and log.stat().st_size > 0, 10)
    found = Identity.of(child.pid)
    assert found is not None
    found.end(patience=0.2)
    assert child.wait() == -signal.SIGKILL


def test_a_zombie_is_nobody(tmp_path: Path) -> None:
    child = start([sys.executable, "-c", ""], tmp_path / "log")
    assert wait_until(lambda: Identity.of(child.pid) is None, 10)
    child.wait()


def test_signals_to_the_dead_are_no_error() -> None:
    Identity(2**22, 0).send(signal.SIGTERM)


def test_a_file_is_replaced_in_one_step_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for text in ("one", "two"):
        write_atomically(target, text)
        assert target.read_text() == text
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("answer", [True, False])
def test_waiting_says_how_it_ended(answer: bool) -> None:  # noqa: FBT001  # a table's column
    assert wait_until(lambda: answer, 0.05) is answer
