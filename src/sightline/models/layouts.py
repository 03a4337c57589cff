"""The parts of the families' tables that several share: names of tensors in Hugging Face's files and in ours."""

from sightline.checkpoint.rules import Rule, join, move


def linear(source: str, target: str) -> list[Rule]:
    """A layer's weight and bias: a linear map's or a norm's."""
    return [move(f"{source}.{kind}", f"{target}.{kind}") for kind in ("weight", "bias")]


def attention(source: str, target: str) -> list[Rule]:
    """A self-attention's tensors: `nn.attention.SelfAttention`."""
    qkv = (join(f"{source}.{{q,k,v}}_proj.{kind}", f"{target}.qkv.{kind}") for kind in ("weight", "bias"))
    return [*qkv, *linear(f"{source}.out_proj", f"{target}.out")]


def block(source: str, target: str) -> list[Rule]:
    """A pre-norm block's tensors: `nn.transformer.Block`."""
    return [
        *linear(f"{source}.layer_norm1", f"{target}.norm1"),
        *linear(f"{source}.layer_norm2", f"{target}.norm2"),
        *attention(f"{source}.self_attn", f"{target}.attention"),
        *linear(f"{source}.mlp.fc1", f"{target}.mlp.fc1"),
        *linear(f"{source}.mlp.fc2", f"{target}.mlp.fc2"),
    ]


def text(source: str, target: str) -> list[Rule]:
    """The shared text tower's tensors: `nn.text.TextTransformer`."""
    return [
        move(f"{source}.embeddings.token_embedding.weight", f"{target}.token_embedding.weight"),
        move(f"{source}.embeddings.position_embedding.weight", f"{target}.position_embedding"),
        *block(f"{source}.encoder.layers.*", f"{target}.transformer.blocks.*"),
        *linear(f"{source}.final_layer_norm", f"{target}.final_norm"),
    ]


def vision(source: str, target: str) -> list[Rule]:
    """The shared vision tower's tensors, `nn.vision.VisionTransformer`, but for the first norm: its name differs."""
    return [
        move(f"{source}.embeddings.class_embedding", f"{target}.class_embedding"),
        move(f"{source}.embeddings.patch_embedding.weight", f"{target}.patch_embedding.weight"),
        move(f"{source}.embeddings.position_embedding.weight", f"{target}.position_embedding"),
        *block(f"{source}.encoder.layers.*", f"{target}.transformer.blocks.*"),
        *linear(f"{source}.post_layernorm", f"{target}.post_norm"),
    ]


def bare(table: tuple[Rule, ...], tower: str) -> tuple[Rule, ...]:
    """A tower saved alone by the reference since release 5: names without the prefix that they have in the whole."""
    return tuple(
        Rule(tuple(source.removeprefix(tower) for source in rule.sources), rule.target, rule.transposed)
        for rule in table
        if rule.sources[0].startswith(tower)
    )
