"""A model's tensors by name: its own names, and those of files and of the reference's models."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from sightline.checkpoint.quantized import layer_and_rest
from sightline.checkpoint.rules import Piece, Rule, apart, backwards, first_names, has_rule, is_dropped, read, split
from sightline.errors import UsageError


@dataclass(frozen=True)
class Naming:
    """How a state dict names a model's tensors: `begin` before all names, then `pieces` by the model's own names."""

    begin: str
    pieces: Mapping[str, Piece]
    table: tuple[Rule, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The state dict's names, with the model's own for each."""
        return {self.begin + source: key for key, piece in self.pieces.items() for source in piece.sources}


class StateDicts(nn.Module):
    """A model that reads and writes the names of its tables. A base of `PretrainedModel`, which explains them.

    A model of the caller's own has no tables: of the models in it, it reads and writes the reference's names.
    """

    tables: ClassVar[Mapping[str, tuple[Rule, ...]]] = {}
    prefix: ClassVar[str] = ""
    last_parameter: ClassVar[str] = ""
    """The last parameter of the reference's class of this name: its map stays as it is when others are quantised.
    Empty: the last one here."""

    @property
    def layout(self) -> tuple[Rule, ...]:
        """The table by which the model is saved."""
        return next(iter(self.tables.values()), ())

    @property
    def reference_layout(self) -> tuple[Rule, ...]:
        """The table of the names that the reference's class of this name has for its tensors."""
        return self.layout

    def file_names(self, key: str) -> tuple[str, ...]:
        """The names of one of the model's tensors in the files that are saved."""
        return self.piece(self.layout, key).sources

    def piece(self, table: tuple[Rule, ...], key: str) -> Piece:
        """What one of the model's tensors is made of in files of this table; what the table lacks keeps its name."""
        if not self.layout:
            for name, part in self.named_modules():
                if isinstance(part, StateDicts) and part.layout and key.startswith(f"{name}."):
                    found = part.piece(part.reference_layout, key.removeprefix(f"{name}."))
                    return Piece(tuple(f"{name}.{source}" for source in found.sources), found.transposed)
        if (beside := layer_and_rest(key)) is not None:
            weight = self.piece(table, f"{beside[0]}weight").sources[0]
            return Piece((weight.removesuffix("weight") + beside[1],), False)
        name = self.prefix + key
        return backwards(table, name) or backwards(apart(table), name) or Piece((key,), False)

    def reference_names(self, key: str) -> tuple[str, ...]:
        """The names that the reference's class of this name has for one of the model's tensors: of a fused map three.

        `key`: as in `named_parameters`. A tensor that the reference does not have keeps its name.
        """
        return self.piece(self.reference_layout, key).sources

    def reference_state_dict(self) -> dict[str, Tensor]:
        """`state_dict` by the names of the reference's class of this name, whose `load_state_dict` reads it.

        The tensors share the model's memory, but for those that the reference keeps transposed.
        """
        return self._written(self.reference_layout, self.state_dict())

    def file_state(self, state_dict: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The tensors, or those of a state dict of any naming, by the names of the files that are saved."""
        if state_dict is None:
            return self._written(self.layout, self.state_dict())
        naming = self._naming(state_dict.keys())
        given = {name.removeprefix(naming.begin): tensor for name, tensor in state_dict.items()}
        whole = {key: piece for key, piece in naming.pieces.items() if set(piece.sources) <= given.keys()}
        ours = {key: read(piece, given.__getitem__, "state_dict") for key, piece in whole.items()}
        read_names = {source for piece in whole.values() for source in piece.sources}
        if others := [name for name in given if name not in read_names and not is_dropped(naming.table, name)]:
            raise UsageError(
                f"state_dict: {first_names(others)} is no tensor of a {type(self).__name__}, or lacks others to be "
                "joined with"
            )
        return self._written(self.layout, ours)

    def _written(self, table: tuple[Rule, ...], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of the model's own names by those of a table."""
        file: dict[str, Tensor] = {}
        for key, tensor in state.items():
            file |= split(self.piece(table, key), tensor)
        return file

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As `torch.nn.Module.load_state_dict`, for the model's own names and for those of the files that it opens: the
        reference's, OpenAI's, open_clip's; also with a beginning that all names have, such as "module.".

        Missing and unexpected keys, and errors, are in the names of what was given.
        """
        naming = self._naming(state_dict.keys())
        own = self.state_dict()
        if not naming.table and not naming.begin:
            return super().load_state_dict(state_dict, strict, assign)
        expected = {
            naming.begin + source: part
            for key, piece in naming.pieces.items()
            for source, part in split(piece, own[key]).items()
        }
        missing = [name for name in expected if name not in state_dict]
        unexpected = [
            name
            for name in state_dict
            if name not in expected and not is_dropped(naming.table, name.removeprefix(naming.begin))
        ]
        wrong = [
            f"size mismatch for {name}: copying a param with shape {state_dict[name].shape} from checkpoint, the shape "
            f"in current model is {part.shape}."
            for name, part in expected.items()
            if name in state_dict and state_dict[name].shape != part.shape
        ]
        for what, names in (("Unexpected", unexpected), ("Missing", missing)) if strict else ():
            if names:
                wrong.insert(0, f"{what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names) + ". ")
        if wrong:
            listed = "\n\t".join(wrong)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        # Of a join of which parts are given, the other parts stay as they are.
        tensors = {name.removeprefix(naming.begin): state_dict.get(name, part) for name, part in expected.items()}
        given = {
            key: read(piece, tensors.__getitem__, "state_dict")
            for key, piece in naming.pieces.items()
            if any(naming.begin + source in state_dict for source in piece.sources)
        }
        super().load_state_dict(given, strict=False, assign=assign)
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As a part of another module, whose `load_state_dict` this is: a file's names become the model's own."""
        if prefix and any(prefix + name not in state_dict for name, _ in self.named_parameters()):
            below = {name.removeprefix(prefix): name for name in state_dict if name.startswith(prefix)}
            naming = self._naming(below.keys())
            for key, piece in naming.pieces.items() if naming.table else ():
                names = [below[naming.begin + source] for source in piece.sources if naming.begin + source in below]
                if len(names) == len(piece.sources):
                    parts = dict(zip(piece.sources, map(state_dict.pop, names), strict=True))
                    state_dict[prefix + key] = read(piece, parts.__getitem__, "state_dict")
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _naming(self, names: Collection[str]) -> Naming:
        """The naming, of all that are known, that explains most of `names`."""
        own = list(self.state_dict())
        plain = {key: Piece((key,), False) for key in own}
        if set(names) <= plain.keys():
            return Naming("", plain)
        namings = [Naming("", plain)]
        for table in dict.fromkeys((self.reference_layout, self.layout, *self.tables.values())):
            if not self.tables or any(has_rule(table, self.prefix + key) for key in own):
                namings.append(Naming("", {key: self.piece(table, key) for key in own}, table))
        begin = ""
        while True:
            left = {name.removeprefix(begin) for name in names}
            hits = [len(left & naming.names.keys()) for naming in namings]
            first = next(iter(left), "").partition(".")[0] + "."
            if any(hits) or not left or not all(name.startswith(first) and name != first for name in left):
                best = namings[hits.index(max(hits))]
                return Naming(begin, best.pieces, best.table) if any(hits) else namings[0]
            begin += first
