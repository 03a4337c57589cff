"""The reference's names for tokenizers."""

import os
from typing import Any

from sightline.errors import UsageError
from sightline.models.text_processor import TextProcessor
from sightline.models.tokenizer_kinds import BertTokenizer, CLIPTokenizer, RobertaTokenizer

# The reference, too, has one class under both names.
CLIPTokenizerFast = CLIPTokenizer
BertTokenizerFast = BertTokenizer
RobertaTokenizerFast = RobertaTokenizer
PreTrainedTokenizerBase = PreTrainedTokenizerFast = TokenizersBackend = TextProcessor


class AutoTokenizer:
    """Opens any of the tokenizers, as an object of the class of its kind."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise UsageError("AutoTokenizer opens tokenizers: AutoTokenizer.from_pretrained(name_or_folder)")

    @staticmethod
    def from_pretrained(name_or_folder: str | os.PathLike[str], **options: Any) -> TextProcessor:
        """Opens a folder's tokenizer, a packaged model's or one on the Hub: see `TextProcessor.from_pretrained`."""
        return TextProcessor.from_pretrained(name_or_folder, **options)
