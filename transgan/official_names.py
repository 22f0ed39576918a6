"""The authors' names of our networks' tensors, after the classes of their four training scripts."""

from __future__ import annotations

from transgan.config import TrainingConfig
from transgan.network_config import DiscriminatorConfig, GeneratorConfig

_BLOCK_NAMES = {
    "norm1": "norm1.norm",
    "norm2": "norm2.norm",
    "attn.bias_table": "attn.relative_position_bias_table",
    "attn.noise.strength": "attn.noise_strength_1",
    "cross_attn.q": "cross_attention.q_transform",
    "cross_attn.k": "cross_attention.k_transform",
    "cross_attn.v": "cross_attention.v_transform",
    "cross_attn.proj": "cross_attention.proj",
}


def generator_name(name: str, config: TrainingConfig) -> str:
    """The authors' name of one of our generator's tensors."""
    part, *rest = name.split(".")
    match part:
        case "latent_to_tokens":
            return ".".join(["l1", *rest])
        case "latent_to_source":
            return ".".join(["embedding_transform", *rest])
        case "source_positions":
            return "embed_pos"
        case "position_embeddings":
            return f"pos_embed_{int(rest[0]) + 1}"
        case "tokens_to_image":
            return ".".join(["deconv.0", *rest])
    stage, block = int(rest[0]), rest[1]
    # Where all transitions are pixel shuffles, the authors loop over the later stages; where some
    # are bicubic, each stage is an attribute of its own.
    assert isinstance(config.generator, GeneratorConfig)
    if "bicubic" in config.generator.upsamplings:
        place = f"blocks_{stage + 1}"
    else:
        place = f"upsample_blocks.{stage - 1}" if stage else "blocks"
    return f"{place}.block.{block}.{_block_name('.'.join(rest[2:]))}"


def discriminator_name(name: str, config: TrainingConfig) -> str:
    """The authors' name of one of our discriminator's tensors."""
    part, *rest = name.split(".")
    match part:
        case "class_token":
            return "cls_token"
        case "position_embeddings":
            return f"pos_embed_{int(rest[0]) + 1}"
        case "patch_embeddings":
            return f"fRGB_{int(rest[0]) + 1}.{rest[-1]}"
        case "norm":
            return f"norm.norm.{rest[0]}"
        case "head":
            return f"head.{rest[0]}"
        case "last_blocks":
            return f"last_block.{rest[0]}.{_block_name('.'.join(rest[1:]))}"
    level, block = int(rest[0]), int(rest[1])
    assert isinstance(config.discriminator, DiscriminatorConfig)
    windowed = config.discriminator.windowed_depths
    place = f"blocks_{level + 1}"
    if windowed and 0 < windowed[level] <= block:  # global blocks after windowed ones
        place, block = f"{place}1", block - windowed[level]
    return f"{place}.{block}.{_block_name('.'.join(rest[2:]))}"


def _block_name(name: str) -> str:
    for ours, theirs in _BLOCK_NAMES.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    return name
