"""Parts of tables that several families share: names of tensors in Hugging Face's files and in ours."""

from sightline.checkpoint.rules import Rule, drop, join, move


def linear(source: str, target: str) -> list[Rule]:
    """A layer's weight and bias: a linear map's or a norm's."""
    return [move(f"{source}.{kind}", f"{target}.{kind}") for kind in ("weight", "bias")]


def attention(source: str, target: str) -> list[Rule]:
    """A self-attention's tensors: `nn.attention.SelfAttention`."""
    qkv = (join(f"{source}.{{q,k,v}}_proj.{kind}", f"{target}.qkv.{kind}") for kind in ("weight", "bias"))
    return [*qkv, *linear(f"{source}.out_proj", f"{target}.out_proj")]


def block(source: str, target: str) -> list[Rule]:
    """A pre-norm block's tensors: `nn.transformer.Block`."""
    return [
        *linear(f"{source}.layer_norm1", f"{target}.layer_norm1"),
        *linear(f"{source}.layer_norm2", f"{target}.layer_norm2"),
        *attention(f"{source}.self_attn", f"{target}.self_attn"),
        *linear(f"{source}.mlp.fc1", f"{target}.mlp.fc1"),
        *linear(f"{source}.mlp.fc2", f"{target}.mlp.fc2"),
    ]


def text(source: str, target: str) -> list[Rule]:
    """The shared text tower's tensors: `nn.text.TextTransformer`."""
    return [
        move(f"{source}.embeddings.token_embedding.weight", f"{target}.embeddings.token_embedding.weight"),
        move(f"{source}.embeddings.position_embedding.weight", f"{target}.embeddings.position_embedding.weight"),
        *block(f"{source}.encoder.layers.*", f"{target}.encoder.layers.*"),
        *linear(f"{source}.final_layer_norm", f"{target}.final_layer_norm"),
    ]


def bert(source: str, target: str, scale: str = "weight", shift: str = "bias") -> list[Rule]:
    """A BERT's tensors: `nn.bert.BertTransformer`. `source` and `target` end in a dot or are empty; `scale` and `shift`
    are the norms' two tensors."""
    s, t = f"{source}encoder.layer.*", f"{target}encoder.layer.*"
    norms = {
        f"{source}embeddings.LayerNorm": f"{target}embeddings.LayerNorm",
        f"{s}.attention.output.LayerNorm": f"{t}.attention.output.LayerNorm",
        f"{s}.output.LayerNorm": f"{t}.output.LayerNorm",
    }
    tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    maps = ("attention.output.dense", "intermediate.dense", "output.dense")
    joined = (
        join(f"{s}.attention.self.{{query,key,value}}.{kind}", f"{t}.attention.self.qkv.{kind}")
        for kind in ("weight", "bias")
    )
    return [
        *(move(f"{source}embeddings.{name}.weight", f"{target}embeddings.{name}.weight") for name in tables),
        *(move(f"{name}.{scale}", f"{ours}.weight") for name, ours in norms.items()),
        *(move(f"{name}.{shift}", f"{ours}.bias") for name, ours in norms.items()),
        *joined,
        *(rule for name in maps for rule in linear(f"{s}.{name}", f"{t}.{name}")),
        *linear(f"{source}pooler.dense", f"{target}pooler.dense"),
        drop(f"{source}embeddings.position_ids"),
        drop(f"{source}embeddings.token_type_ids"),
    ]


def vision(source: str, target: str) -> list[Rule]:
    """The shared vision tower's tensors, `nn.vision.VisionTransformer`, without the first norm, whose name differs."""
    return [
        move(f"{source}.embeddings.class_embedding", f"{target}.embeddings.class_embedding"),
        move(f"{source}.embeddings.patch_embedding.weight", f"{target}.embeddings.patch_embedding.weight"),
        move(f"{source}.embeddings.position_embedding.weight", f"{target}.embeddings.position_embedding.weight"),
        *block(f"{source}.encoder.layers.*", f"{target}.encoder.layers.*"),
        *linear(f"{source}.post_layernorm", f"{target}.post_layernorm"),
    ]


def bare(table: tuple[Rule, ...], tower: str) -> tuple[Rule, ...]:
    """A tower saved alone by the reference since release 5: names without the prefix that they have in the whole."""
    return tuple(
        Rule(tuple(source.removeprefix(tower) for source in rule.sources), rule.target, rule.transposed)
        for rule in table
        if rule.sources[0].startswith(tower)
    )
