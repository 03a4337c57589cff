"""The script `benchmarks/run_clip.py` in either library, and the text tower and trainer that it is given."""

import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast, Trainer

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "run_clip.py"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # RoBERTa's, in its order


def script(library: str) -> ModuleType:
    """The script, its models and processors imported from this library."""
    code = SCRIPT.read_text(encoding="utf-8")
    changed = code.replace("\nfrom transformers import (", f"\nfrom {library} import (")
    assert changed.count(f"\nfrom {library} import (") == 1
    module = ModuleType(f"run_clip_with_{library}")
    exec(compile(changed, str(SCRIPT), "exec"), module.__dict__)
    return module


def roberta(folder: Path, captions: Iterable[str], vocabulary: int, dropout: float = 0.0, **settings: Any) -> Path:
    """A new RoBERTa in the folder, its weights drawn with seed 0, its tokenizer trained on the captions."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(captions, vocab_size=vocabulary, special_tokens=list(SPECIAL), show_progress=False)
    pieces.save_model(str(folder))
    RobertaTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = RobertaConfig(vocab_size=pieces.get_vocab_size(), **drops, **settings)
    RobertaModel(config).save_pretrained(folder)
    return folder


class Recorder(Trainer):
    """A trainer that keeps the loss of each batch as it is, and the processor's time for it and its gradient."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.losses: list[float] = []
        self.taken: list[float] = []

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        found = super().compute_loss(model, inputs, *args, **options)
        if model.training:
            self.losses.append((found[0] if isinstance(found, tuple) else found).item())
        return found

    def training_step(self, *args: Any, **options: Any) -> Any:
        start = time.process_time()
        found = super().training_step(*args, **options)
        self.taken.append(time.process_time() - start)
        return found
