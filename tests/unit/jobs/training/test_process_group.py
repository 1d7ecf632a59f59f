"""Workers meet at their nodes' addresses, and are brought together again where that failed."""

import os
import shutil
import subprocess

import pytest
from ray.train import ControllerError

from jobs.training import process_group, ray_train
from jobs.training.process_group import SWITCH, choose_interface, interface_of


@pytest.mark.skipif(shutil.which("ip") is None, reason="no iproute2 here to ask")
def test_each_address_of_this_machine_has_its_interface() -> None:
    lines = subprocess.run(["ip", "-brief", "-4", "address"], capture_output=True, text=True, check=True).stdout
    told = [line.split() for line in lines.splitlines()]
    own = {words[2].partition("/")[0]: words[0].partition("@")[0] for words in told if len(words) > 2}
    assert own["127.0.0.1"] == "lo"
    assert {address: interface_of(address) for address in own} == own
    assert interface_of("192.0.2.1") is None  # reserved for documentation (RFC 5737)


@pytest.mark.parametrize(("named", "chosen"), [(None, "lo"), ("eth7", "eth7")])
def test_the_users_own_choice_stands(monkeypatch: pytest.MonkeyPatch, named: str | None, chosen: str) -> None:
    monkeypatch.setattr(process_group.ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    monkeypatch.setenv(SWITCH, named or "")
    if named is None:
        monkeypatch.delenv(SWITCH)
    choose_interface()
    assert os.environ[SWITCH] == chosen


class Trainer:
    """Fails so many times before the workers come together."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def fit(self) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise ControllerError(RuntimeError("Gloo connectFullMesh failed"))
        return "trained"


def test_workers_that_never_came_together_are_started_again_but_not_for_ever() -> None:
    said: list[str] = []
    assert ray_train.fit(Trainer(2), said.append) == "trained"  # type: ignore[arg-type]
    assert len(said) == 2 and "Gloo connectFullMesh failed" in said[0]
    with pytest.raises(ControllerError):
        ray_train.fit(Trainer(3), said.append)  # type: ignore[arg-type]
