"""Training while things die: whatever happens, it ends with the weights that an undisturbed run ends with."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.embed_faults import descendants, kill
from tests.training_faults import WORKER, checkpoints, start

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

Weights = dict[str, torch.Tensor]


def weights(root: Path) -> Weights:
    return torch.load(root / "toy" / "weights.pt", weights_only=True)


def finish(driver: subprocess.Popen[str]) -> str:
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output[-6000:]
    return output


def wait_for(there: Callable[[], object], driver: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert driver.poll() is None, driver.communicate()[0][-6000:]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def kill_workers(count: int = 1) -> None:
    found = [pid for pid, title in descendants().items() if WORKER in title]
    assert len(found) >= count
    for pid in found[:count]:
        kill(pid)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: str, tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Weights]:
    """What a run of so many workers ends with."""
    found: dict[int, Weights] = {}

    def of(workers: int) -> Weights:
        if workers not in found:
            root = tmp_path_factory.mktemp("undisturbed")
            finish(start(str(root), ray_cluster, tracking, "--workers", str(workers)))
            assert not list((root / "_runs").iterdir())
            found[workers] = weights(root)
        return found[workers]

    return of


def check_equal(found: Weights, expected: Weights, workers: int) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if workers == 1:
            assert torch.equal(found[name], tensor), name
        else:
            torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_within_an_epoch(
    ray_cluster: str, tracking: str, tmp_path: Path, undisturbed: Callable[[int], Weights], workers: int
) -> None:
    expected = undisturbed(workers)
    driver = start(str(tmp_path), ray_cluster, tracking, "--workers", str(workers), "--pause", "0.3")
    wait_for(lambda: checkpoints(str(tmp_path)), driver)
    time.sleep(random.Random(workers).uniform(0, 2))
    kill_workers()
    output = finish(driver)
    assert "epoch 0.375" in output  # the first checkpoint, and never again
    assert output.count("epoch 0.375") == 1
    check_equal(weights(tmp_path), expected, workers)


def test_a_killed_driver_started_again(
    ray_cluster: str, tracking: str, tmp_path: Path, undisturbed: Callable[[int], Weights]
) -> None:
    expected = undisturbed(1)
    driver = start(str(tmp_path), ray_cluster, tracking, "--pause", "0.3")
    wait_for(lambda: checkpoints(str(tmp_path)), driver)
    time.sleep(1)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    assert not (tmp_path / "toy").exists()
    output = finish(start(str(tmp_path), ray_cluster, tracking))
    assert "epoch 0.375" not in output
    check_equal(weights(tmp_path), expected, 1)


def test_a_loss_that_is_no_number_stops_with_its_batch(
    ray_cluster: str, tracking: str, tmp_path: Path, undisturbed: Callable[[int], Weights]
) -> None:
    expected = undisturbed(2)
    armed = tmp_path / "armed"
    armed.touch()
    options = ("--workers", "2", "--bad", "17", "--armed", str(armed))
    driver = start(str(tmp_path), ray_cluster, tracking, *options)
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 1
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "the loss is nan at epoch 1, step" in line and "bad_batch" in line
    told = [json.loads(path.read_text()) for path in tmp_path.glob("_runs/toy-*/bad_batch/rank*.json")]
    assert len(told) == 2 and sum("review-17" in each["examples"] for each in told) == 1
    assert sum(len(each["examples"]) for each in told) == 8 and told[0]["step"] == told[1]["step"]
    kept = checkpoints(str(tmp_path))
    assert len(kept) == (told[0]["step"] >= 3)  # the last good one, if there was one before
    armed.unlink()  # whoever cured the data goes on from there
    finish(start(str(tmp_path), ray_cluster, tracking, *options))
    check_equal(weights(tmp_path), expected, 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_the_last_good_checkpoint(
    ray_cluster: str, tracking: str, small_disk: Path, undisturbed: Callable[[int], Weights]
) -> None:
    expected = undisturbed(1)
    driver = start(str(small_disk), ray_cluster, tracking, "--pause", "0.3")
    wait_for(lambda: len(checkpoints(str(small_disk))), driver)
    time.sleep(0.3)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 2**19))
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 1
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "No space left on device" in line
    assert checkpoints(str(small_disk))
    filler.unlink()
    output = finish(start(str(small_disk), ray_cluster, tracking))
    assert "epoch 0.375" not in output
    check_equal(weights(small_disk), expected, 1)


def test_a_lost_node(tracking: str, tmp_path: Path, undisturbed: Callable[[int], Weights]) -> None:
    """Two nodes with a worker each; one goes, another comes, as a cluster's autoscaler would have it."""
    from ray.cluster_utils import Cluster

    expected = undisturbed(2)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        driver = start(str(tmp_path), cluster.address, tracking, "--workers", "2", "--pause", "0.3")
        wait_for(lambda: checkpoints(str(tmp_path)), driver)
        cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(num_cpus=1)
        output = finish(driver)
        assert output.count("epoch 0.375") == 1
    finally:
        cluster.shutdown()
    check_equal(weights(tmp_path), expected, 2)
