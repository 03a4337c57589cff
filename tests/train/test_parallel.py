"""Two processes give what one gives with the whole batch: losses, gradients, weights, files."""

import socket
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import wait

import pytest
import torch
from safetensors.torch import load_file

from sightline import CLIPModel
from sightline.errors import UsageError
from sightline.train import Lora, train
from sightline.train.parallel import Parallel
from support import processes, tiny
from support.processes import STEPS, training

pytestmark = pytest.mark.system


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder with what two processes found."""
    folder = tmp_path_factory.mktemp("two")
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch", "support.processes"])
    ports = free_ports(10)
    both = [context.Process(target=processes.main, args=(rank, ports, folder)) for rank in range(2)]
    for process in both:
        process.start()
    # Where one fails, the other one would wait for it.
    while any(process.is_alive() for process in both) and all(process.exitcode in (None, 0) for process in both):
        wait([process.sentinel for process in both if process.is_alive()])
    codes = [process.exitcode for process in both]
    for process in both:
        process.kill()
    assert codes == [0, 0]
    return folder


def found(folder, name):
    tensors = load_file(folder / f"{name}.safetensors")
    return tensors.pop("loss"), tensors


def same(found, expected, tolerance, but=()):
    loss, weights = expected.pop("loss"), expected
    torch.testing.assert_close(found[0], loss, rtol=tolerance, atol=0)
    assert found[1].keys() == weights.keys()
    for name, tensor in weights.items():
        if not name.endswith(but or "nothing"):
            torch.testing.assert_close(
                found[1][name], tensor, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_each_family_trains_as_in_one_process(two, family):
    # float64: what is zero by theory, a key's bias, say, is far below AdamW's eps there and does not wander.
    same(found(two, f"{family}-whole"), training(family, Parallel(), STEPS), 1e-8)


@pytest.mark.parametrize("how", ["cached", "sharded", "sharded-cached"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_cached_and_sharded_it_is_the_same(two, family, how):
    same(found(two, f"{family}-{how}"), training(family, Parallel(), 3), 1e-8)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_equal_captions_of_two_processes_are_not_compared(two, family):
    same(found(two, f"{family}-equal"), training(family, Parallel(), 3, loss=processes.EQUAL), 1e-8)


def test_in_float32_but_for_key_biases(two):
    losses, weights = found(two, "clip-float32")
    expected = training("clip", Parallel(), STEPS, dtype=torch.float32)
    torch.testing.assert_close(losses, expected.pop("loss"), rtol=1e-5, atol=0)
    for name, tensor in expected.items():
        if name.endswith("qkv.bias"):
            # A key's bias adds the same to all scores of a query: its gradient is zero, and float32's noise moves it.
            weights[name], tensor = (bias.view(3, -1)[[0, 2]] for bias in (weights[name], tensor))
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-5, msg=name)


def test_a_loss_of_ones_own_sees_the_whole_batch(two):
    same(found(two, "clip-own"), training("clip", Parallel(), 3, loss=processes.own_loss), 1e-8)


def test_the_trainer_in_two_processes(two, tmp_path):
    """Uneven rows, as of samples that cannot be read; weights in one file, which any program opens."""
    outcome = train(processes.recipe(), tmp_path / "run")
    alone = CLIPModel.from_pretrained(outcome.path).state_dict()
    for name in ("run", "sharded"):
        together = CLIPModel.from_pretrained(two / name / "last").state_dict()
        for key, tensor in alone.items():
            if not key.endswith("qkv.bias"):
                torch.testing.assert_close(together[key], tensor, rtol=0, atol=1e-5, msg=f"{name}: {key}")


def test_the_average_of_shared_weights(two, tmp_path):
    outcome = train(processes.recipe(ema_decay=0.9), tmp_path / "run")
    together = CLIPModel.from_pretrained(two / "average/last").state_dict()
    last = CLIPModel.from_pretrained(two / "run/last").state_dict()
    assert not torch.allclose(together["logit_scale"], last["logit_scale"], rtol=0, atol=1e-5)
    for key, tensor in CLIPModel.from_pretrained(outcome.path).state_dict().items():
        if not key.endswith("qkv.bias"):
            torch.testing.assert_close(together[key], tensor, rtol=0, atol=1e-5, msg=key)


def test_stopped_by_a_signal_to_one_process_and_taken_up(two):
    whole, stopped = (CLIPModel.from_pretrained(two / name / "last").state_dict() for name in ("run", "stopped"))
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_adapters_with_shared_weights(two, tmp_path):
    outcome = train(processes.recipe(lora=Lora(rank=2), steps=3), tmp_path / "run")
    alone, shared = (CLIPModel.from_pretrained(at).state_dict() for at in (outcome.path, two / "lora/last"))
    for key, tensor in alone.items():
        torch.testing.assert_close(shared[key], tensor, rtol=0, atol=1e-5, msg=key)


def test_one_process_shares_with_nobody():
    with pytest.raises(UsageError, match="torchrun"):
        Parallel.start(fsdp=True)
