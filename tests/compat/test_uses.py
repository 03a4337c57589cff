"""What people write for `transformers`, each use run in both libraries; the uses are in `uses/`, a file for each kind.

A use that the reference itself ends with an error counts only among the `errors`, where that error is an answer."""

from functools import cache
from pathlib import Path

import pytest
import transformers

import sightline
from support.both import run, verdict
from support.uses import given, listed

pytestmark = pytest.mark.parity

USES = listed(Path(__file__).parent / "uses")
KINDS = sorted({name.split(":")[0] for name in USES})
SHARE = 0.97

# What we refuse on purpose, with a part of the message, which says what to write instead.
REFUSED: dict[str, str] = {
    "attributes: a frozen query projection": "use self_attn.qkv.requires_grad_()",
    "errors: an argument that no one knows": "unexpected keyword argument 'colour'",
    "loading: a dtype in a dictionary by part": 'try "auto", "float32" or "bfloat16"',
    "loading: a mapping of keys": "pass them as state_dict=",
    "loading: a tensor is missing in the file": "missing logit_scale; does the config belong to these weights?",
    "loading: one more tensor in the file": "load_state_dict(tensors, strict=False)",
    "running: pruning a query projection": "prune or reparametrize qkv",
    "running: second derivatives": "output_attentions=True",
    "loading: proxies": "set the variable HTTPS_PROXY",
    "loading: the memory of each device": "choose it by device_map",
}

# Where ours differs, with the reason.
KNOWN: dict[str, str] = {
    "attributes: estimate_tokens and memory": "position ids are no buffers, which count in the reference",
    "config: eos_token_id as a list": "several are refused at once; there the model's call fails",
    "config: image_size as a pair": "equal sides read as one number; unequal ones are refused",
    "errors: a task that no pipeline has": "a UsageError that lists those that there are, and no KeyError",
    "errors: a processor of a folder that is not there": "an OSError, as of a model; there a ValueError",
    "errors: a wrong size at load": "a CheckpointError, and no RuntimeError after a table in the log",
    "errors: an unknown activation": "a CheckpointError that lists those that are known, and no KeyError",
    "errors: videos of the wrong number of frames": "a UsageError that names the number, and no RuntimeError",
    "image_processors: data_format": "done; the reference's processor on PIL leaves it out",
    "loading: saved whole after it was saved in shards": "the index of the shards goes with them",
    "loading: output_hidden_states by keyword": "done; the reference does not hand it on to the towers",
    "placement: a dtype in the config": "a torch dtype, as however else it is set, and no text",
    "processors: the tokenizer's model_max_length assigned": "obeyed; there the old one holds on",
    "saving: a folder that is a file": "an error; the reference writes a line to its log and saves nothing",
    "models: hooks on all layers by class name": "classes have our names: by `isinstance` it works",
}


@pytest.fixture(scope="module")
def outcomes(checkpoints, tmp_path_factory):
    """Of a kind's uses that count: name, how ours differs (None: it does not), and what ours says if it refuses."""
    names = given(checkpoints, tmp_path_factory.mktemp("uses"))

    @cache
    def of(kind: str) -> list[tuple[str, str | None, str]]:
        found = []
        for name, code in USES.items():
            if name.startswith(f"{kind}:"):
                theirs = run(code, transformers, names)
                if theirs.error is None or kind == "errors":
                    ours = run(code, sightline, names)
                    found.append((name, verdict(ours, theirs), str(ours.error)))
        return found

    return of


def test_there_are_many_uses():
    assert len(USES) >= 300
    assert USES.keys() >= REFUSED.keys() | KNOWN.keys()
    assert not REFUSED.keys() & KNOWN.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_use_agrees_or_its_difference_is_known(kind, outcomes):
    misses = {name: found for name, found, _ in outcomes(kind) if found}
    assert {name: found for name, found in misses.items() if name not in REFUSED.keys() | KNOWN.keys()} == {}
    stale = {name for name in REFUSED.keys() | KNOWN.keys() if name.startswith(f"{kind}:")} - misses.keys()
    assert not stale, "these agree by now"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_write(name, outcomes):
    (error,) = (error for found, _, error in outcomes(name.split(":")[0]) if found == name)
    assert REFUSED[name] in error


def test_nearly_all_uses_agree(outcomes):
    every = [found for kind in KINDS for _, found, _ in outcomes(kind)]
    agree = every.count(None)
    assert len(every) >= 300
    assert agree >= SHARE * len(every), f"{agree} of {len(every)}"
