"""Pictures, masks, latents, conditionings, sound and schedules, as ComfyUI's nodes take them.

PyTorch is imported here, so this module is imported only when one of them is asked for. Not here: models.
"""

import torch

SAMPLE_RATE = 44_100
# Of a conditioning for Stable Diffusion 1.5, and so is the model of `models`.
CONTEXT = 768
# What is wrong with numbers that come out of broken computations.
ODD = (float("nan"), float("inf"), float("-inf"), -1.0, 2.0, 1e30)


def make(request):
    """A value of a type that is made of tensors."""
    generator = torch.Generator(device="cpu").manual_seed(request.seed)
    make_one = {
        "IMAGE": image, "MASK": mask, "LATENT": latent, "CONDITIONING": conditioning, "AUDIO": audio, "SIGMAS": sigmas,
        "NOISE": lambda request, generator: Noise(request.seed),
    }[request.kind]  # fmt: skip
    return make_one(request, generator)


def image(request, generator):
    """A batch of square pictures, [batch, edge, edge, 3] from 0 to 1: a gradient, a landscape, or rubbish."""
    edge = request.size
    down = torch.linspace(0, 1, edge).view(1, edge, 1, 1)
    across = torch.linspace(0, 1, edge).view(1, 1, edge, 1)
    if request.mode == "simple":
        ones = torch.ones(1, edge, edge, 1)
        made = torch.cat([across * ones, down * ones, 0.5 * ones], dim=-1).repeat(request.batch, 1, 1, 1)
    elif request.mode == "realistic":
        made = torch.cat([landscape(down, across, generator) for _ in range(request.batch)])
    else:
        made = torch.rand(request.batch, edge, edge, 3, generator=generator)
    made = noisy(made, request, generator, 0.5)
    return spoilt(made, generator) if request.mode == "stress_test" else made.clamp(0, 1)


def landscape(down, across, generator):
    """A picture with a sky, a sun and hills, whose colours and shapes are drawn."""
    drawn = torch.rand(8, generator=generator)
    colours = torch.rand(3, 3, generator=generator)
    sky = (1 - down) * (0.4 + 0.6 * colours[0]) + down * (0.7 + 0.3 * colours[1])
    sun = torch.exp(-((across - drawn[0]) ** 2 + (down - 0.35 * drawn[1] - 0.1) ** 2) / 0.008)
    hills = 0.55 + 0.25 * drawn[2]
    hills = hills + 0.1 * torch.sin(6.28 * (across * (1 + 3 * drawn[3]) + drawn[4]))
    hills = hills + 0.04 * torch.sin(6.28 * (across * (5 + 6 * drawn[5]) + drawn[6]))
    ground = torch.sigmoid((down - hills) * 60)
    picture = sky + sun * torch.tensor([1.0, 0.85, 0.5])
    return picture * (1 - ground) + ground * (1.2 - 0.8 * down) * (0.15 + 0.45 * colours[2])


def mask(request, generator):
    """A batch of masks, [batch, edge, edge] from 0 to 1: a disc, several soft discs, or rubbish."""
    edge = request.size
    line = torch.linspace(0, 1, edge)
    down, across = line.view(edge, 1), line.view(1, edge)
    if request.mode == "simple":
        made = ((down - 0.5) ** 2 + (across - 0.5) ** 2 < 0.25**2).float().repeat(request.batch, 1, 1)
    elif request.mode == "realistic":
        made = torch.zeros(request.batch, edge, edge)
        for one in made:
            for y, x, radius in torch.rand(4, 3, generator=generator):
                distance = ((down - y) ** 2 + (across - x) ** 2).sqrt()
                one.copy_(torch.maximum(one, torch.sigmoid((0.05 + 0.2 * radius - distance) * 40)))
    else:
        made = torch.rand(request.batch, edge, edge, generator=generator)
    made = noisy(made, request, generator, 0.5)
    return spoilt(made, generator) if request.mode == "stress_test" else made.clamp(0, 1)


def latent(request, generator):
    """A dict with `samples`, [batch, 4, edge / 8, edge / 8]: zeros, the noise of a picture, or rubbish."""
    edge = max(1, request.size // 8)
    shape = (request.batch, 4, edge, edge)
    if request.mode == "simple":
        made = torch.zeros(shape)
    else:
        made = torch.randn(shape, generator=generator)
    made = noisy(made, request, generator, 1.0)
    return {"samples": spoilt(made, generator) if request.mode == "stress_test" else made}


def conditioning(request, generator):
    """A conditioning of `size` tokens, [[tensor, options]], of the width of Stable Diffusion 1.5."""
    shape = (request.batch, request.size, CONTEXT)
    pooled = (request.batch, CONTEXT)
    if request.mode == "simple":
        made, whole = torch.zeros(shape), torch.zeros(pooled)
    else:
        made, whole = torch.randn(shape, generator=generator), torch.randn(pooled, generator=generator)
    made = noisy(made, request, generator, 1.0)
    return [[spoilt(made, generator) if request.mode == "stress_test" else made, {"pooled_output": whole}]]


def audio(request, generator):
    """Sound of `size` hundredths of a second: a tone, a chord that fades, or rubbish."""
    length = max(1, SAMPLE_RATE * request.size // 100)
    time = torch.arange(length) / SAMPLE_RATE
    if request.mode == "simple":
        made = 0.5 * torch.sin(6.2831853 * 440 * time).repeat(request.batch, 2, 1)
    elif request.mode == "realistic":
        roots = 110 * 2 ** (torch.randint(0, 24, (request.batch, 1, 1), generator=generator) / 12)
        notes = [torch.sin(6.2831853 * roots * step * time) for step in (1, 1.26, 1.5)]
        made = (sum(notes) / 4 * torch.exp(-1.5 * time)).repeat(1, 2, 1)
    else:
        made = 2 * torch.rand(request.batch, 2, length, generator=generator) - 1
    made = noisy(made, request, generator, 0.3)
    if request.mode == "stress_test":
        made = spoilt(made, generator)
    return {"waveform": made, "sample_rate": SAMPLE_RATE}


def sigmas(request, generator):
    """A schedule of `size` steps that ends in 0: even, as samplers like it, or rubbish."""
    place = torch.linspace(0, 1, request.size)
    if request.mode == "simple":
        made = 1 + (1 - place) * 13
    elif request.mode == "realistic":
        low, high = 0.03 ** (1 / 7), 14.6 ** (1 / 7)
        made = (high + place * (low - high)) ** 7
    else:
        return spoilt(torch.rand(request.size + 1, generator=generator) * 20, generator)
    return torch.cat([noisy(made, request, generator, 1.0), torch.zeros(1)])


class Noise:
    """`Noise` gives the noise that a sampler begins with, as ComfyUI's own RandomNoise does."""

    def __init__(self, seed):
        self.seed = seed

    def generate_noise(self, latent):
        """Noise of the shape of a latent."""
        generator = torch.Generator(device="cpu").manual_seed(self.seed)
        return torch.randn(latent["samples"].shape, generator=generator)


def noisy(made, request, generator, strength):
    """Adds noise: the lower the quality, the more."""
    if request.quality >= 1:
        return made
    return made + (1 - request.quality) * strength * torch.randn(made.shape, generator=generator)


def spoilt(made, generator):
    """Puts values into a tensor that break computations: each kind at least once, where there is room."""
    flat = made.reshape(-1)
    places = torch.randperm(flat.numel(), generator=generator)[: max(len(ODD), flat.numel() // 1000)]
    for index, place in enumerate(places[: 100 * len(ODD)]):
        flat[place] = ODD[index % len(ODD)]
    return flat.reshape(made.shape)
