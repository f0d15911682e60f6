"""Values of ComfyUI's own classes: a diffusion model, a sampler, a video.

ComfyUI's modules and PyTorch are imported here, so this module is imported only when one of them is asked for. The model
is real but tiny, with random weights: samplers take it, and what they make of it is noise. Not here: plain tensors.
"""

from fractions import Fraction

import torch

from .tensors import audio, image

# Stable Diffusion 1.5 with two levels of 32 and 64 channels: 5 MB.
TINY = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1, 1],
    "channel_mult": [1, 2], "transformer_depth": [0, 1], "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1, "context_dim": 768, "num_heads": 4, "use_spatial_transformer": True, "legacy": False,
    "adm_in_channels": None, "use_linear_in_transformer": False, "use_temporal_attention": False, "use_checkpoint": False,
    "dtype": torch.float32,
}  # fmt: skip
FRAMES_PER_SECOND = 8


def make(request):
    """A value of one of ComfyUI's classes."""
    return {"MODEL": model, "SAMPLER": sampler, "VIDEO": video}[request.kind](request)


def model(request):
    """A diffusion model of the kind of Stable Diffusion 1.5, with weights that the seed decides."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    made = comfy.supported_models.SD15(dict(TINY)).get_model({}, device="cpu")
    generator = torch.Generator(device="cpu").manual_seed(request.seed)
    # Under stress the numbers run over within a few steps, as those of a broken model do.
    scale = {"simple": 0.0, "realistic": 0.02, "stress_test": 1e4}[request.mode]
    with torch.no_grad():
        for weights in made.diffusion_model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * scale)
    return comfy.model_patcher.ModelPatcher(
        made,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def sampler(request):
    """A sampler: euler, or one that is drawn from all that ComfyUI has."""
    import comfy.samplers

    names = list(comfy.samplers.SAMPLER_NAMES)
    return comfy.samplers.sampler_object("euler" if request.mode == "simple" else request.draw().one_of(names))


def video(request):
    """A video whose frames are the pictures of a batch, with a sound as long as it."""
    from dataclasses import replace

    from comfy_api.input_impl import VideoFromComponents
    from comfy_api.util import VideoComponents

    generator = torch.Generator(device="cpu").manual_seed(request.seed)
    frames = image(request, generator)
    hundredths = max(1, 100 * request.batch // FRAMES_PER_SECOND)
    sound = audio(replace(request, size=hundredths, batch=1), generator)
    return VideoFromComponents(
        VideoComponents(images=frames, audio=sound, frame_rate=Fraction(FRAMES_PER_SECOND))
    )
