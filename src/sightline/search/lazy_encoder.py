"""The model of an index, opened only as far as a query needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from sightline.encoder.options import DEFAULTS, EncoderOptions
from sightline.errors import ModelMismatch
from sightline.index.model_places import opening

if TYPE_CHECKING:
    from sightline.encoder import Encoder, TextEncoder
    from sightline.encoder.rescorer import Rescorer
    from sightline.index.schema import ModelRecord
    from sightline.index.table import Table

E = TypeVar("E", "Encoder", "TextEncoder")


class LazyEncoder:
    """Encodes queries of words alone in numpy, which spares the import of torch, and opens the whole model for images
    and for text towers that numpy cannot compute. An encoder that the caller made encodes everything."""

    def __init__(
        self,
        table: Table,
        model: Encoder | str | os.PathLike[str] | None = None,
        options: EncoderOptions = DEFAULTS,
    ) -> None:
        """`model` is an encoder or what `load` takes, which opens it by the `options`; None: the model that built the
        table. Options other than the defaults are for torch: numpy then encodes nothing. But for precision "fast": of
        few words numpy is the quickest."""
        self._options = options
        self._name, self._revision, self._given = table.model.name, table.model.revision, None
        self._index = table.folder if model is None else None
        if isinstance(model, str | os.PathLike):
            self._name, self._revision = os.fspath(model), None
        else:
            self._given = model

    def __repr__(self) -> str:
        return repr(self._given) if self._given is not None else f'LazyEncoder("{self._name}")'

    def __getstate__(self) -> dict[str, object]:
        """For `pickle` and `copy`: without the models, which are opened again when they are needed."""
        return {name: self.__dict__[name] for name in ("_options", "_name", "_revision", "_given", "_index")}

    def for_words(self, table: Table) -> Encoder | TextEncoder:
        """What encodes queries of words alone. Raises what `load` raises, and ModelMismatch for a model that did not
        build the table."""
        is_quick = self._options in (DEFAULTS, replace(DEFAULTS, precision="fast"))
        if self._given is None and is_quick and _checked(self._text_encoder, table).usable:
            return self._text_encoder
        return self.for_images(table)

    def for_images(self, table: Table) -> Encoder:
        """What encodes queries with images. Raises what `for_words` raises."""
        return _checked(self._encoder, table)

    def check(self, table: Table) -> ModelRecord:
        """The table's record with the name under which the model was opened here. Raises ModelMismatch for a model that
        did not build the table; of a named model no weights are loaded."""
        encoder: Encoder | TextEncoder = _checked(self.source, table)  # type: ignore[type-var]
        return replace(table.model, name=encoder.name, revision=encoder.revision)

    @property
    def source(self) -> Encoder | TextEncoder:
        """The model's files: no weights are loaded."""
        return self._given or self._text_encoder

    @cached_property
    def rescorer(self) -> Rescorer:
        """What computes exact scores, for models that have a rescorer."""
        from sightline.encoder.rescorer import Rescorer

        return Rescorer(self.source)

    @cached_property
    def _encoder(self) -> Encoder:
        from sightline.encoder import load

        with self._opening():
            return self._given or load(self._name, revision=self._revision, **asdict(self._options))

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        from sightline.encoder import TextEncoder

        with self._opening():
            return TextEncoder(self._name, revision=self._revision)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Within, a model that only the index names may be missing."""
        if self._index is None:
            yield
        else:
            with opening(self._index):
                yield


def _checked(encoder: E, table: Table) -> E:
    if encoder.fingerprint != table.model.fingerprint:
        built = table.model
        raise ModelMismatch(
            f"{table.folder}: built by the model {built.name} ({built.fingerprint[:12]}), and {encoder.name} "
            f"({encoder.fingerprint[:12]}) is another one: other weights or preprocessing. Search with the model that "
            "built it (--model FOLDER, where it lies now), or index the files into another folder with this one "
            "(sightline index PATH --index DIR --model ...)"
        )
    return encoder
