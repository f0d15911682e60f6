"""Numbers about tensors: shape, range, mean, what is no number, a histogram, a small picture.

PyTorch is imported where a tensor is at hand, and so is there. Numbers are exact, counted part by part, so that a video of
gigabytes needs no second copy. Not here: what a tensor stands for.
"""

import base64
import io
import math

from .ask import Untold, ask, is_a

_PART = 1 << 24
BINS = 64
_EDGE = 160
_CHANNELS = {1: ("value",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def as_tensor(value):
    """A tensor, or a view of an array as one."""
    if is_a(value, "torch", "Tensor"):
        return value
    import torch

    return torch.from_numpy(value)


def shape(value):
    """The lengths of its dimensions."""
    return [int(edge) for edge in value.shape]


def memory(value):
    """Its size in bytes."""
    return int(value.numel() * value.element_size()) if is_a(value, "torch", "Tensor") else int(value.nbytes)


def kind(value):
    """The name of its numbers' type."""
    return str(value.dtype).removeprefix("torch.")


def brief(value):
    """Type and shape in a few words."""
    told = ask(lambda: f"{kind(value)} {shape(value)}")
    return f"tensor that tells nothing: {told.reason}" if isinstance(told, Untold) else told


def looks_like(value):
    """`image`, `mask` or None: by the shape and the numbers' type, for ComfyUI's values do not say."""
    edges = shape(value)
    if not is_a(value, "torch", "Tensor") or not value.is_floating_point() or 0 in edges:
        return None
    if len(edges) == 4 and edges[3] in _CHANNELS:
        return "image"
    return None


def statistics(value):
    """Range and mean of the finite numbers, and how many are none."""
    import torch

    tensor = as_tensor(value).detach()
    found = {"count": tensor.numel(), "nan": 0, "infinite": 0, "min": math.inf, "max": -math.inf}
    total, finite = 0.0, 0
    for part in tensor.reshape(-1).split(_PART):
        part = part.cpu()
        if part.is_complex():
            part = part.abs()
        elif part.dtype == torch.bool:
            part = part.to(torch.uint8)
        if part.is_floating_point():
            part = part if part.dtype == torch.float64 else part.float()
            found["nan"] += int(part.isnan().sum())
            found["infinite"] += int(part.isinf().sum())
            if found["nan"] or found["infinite"]:
                part = part[part.isfinite()]
        if part.numel():
            low, high = part.aminmax()
            found["min"], found["max"] = min(found["min"], low.item()), max(found["max"], high.item())
            total += part.sum(dtype=torch.float64).item()
            finite += part.numel()
    if not finite:
        found["min"] = found["max"] = None
    found["mean"] = total / finite if finite else None
    return found


def histogram(value, found, by_channel):
    """How often each range of numbers occurs: pictures by channel from 0 to 1, all else from the least to the most."""
    tensor = as_tensor(value).detach()
    if tensor.is_complex() or found["min"] is None:
        return None
    low, high = (0.0, 1.0) if by_channel else (float(found["min"]), float(found["max"]))
    if not math.isfinite(high - low):
        return None
    if low == high:
        low, high = low - 0.5, high + 0.5
    channels = tensor.unbind(-1) if by_channel else (tensor,)
    names = _CHANNELS[len(channels)] if by_channel else ("value",)
    drawn = [{"name": name, **_counts(channel, low, high)} for name, channel in zip(names, channels)]
    return {"low": low, "high": high, "channels": drawn}


def _counts(channel, low, high):
    import torch

    counts = torch.zeros(BINS, dtype=torch.float64)
    below = above = 0
    for part in channel.reshape(-1).split(_PART):
        part = part.cpu().float()
        counts += torch.histc(part, bins=BINS, min=low, max=high).double()
        below += int((part < low).sum())
        above += int((part > high).sum())
    return {"counts": [int(count) for count in counts], "below": below, "above": above}


def pixels(value, edge=None):
    """A picture [H, W, C] or [H, W] as PIL has it, scaled down to an edge. Raises ImportError without PIL."""
    import torch
    from PIL import Image

    picture = value.detach().cpu().float().nan_to_num(0.0, 1.0, 0.0).clamp(0, 1)
    picture = picture[:, :, None] if picture.dim() == 2 else picture
    height, width, channels = picture.shape
    if edge and max(height, width) > edge:
        scale = edge / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        picture = torch.nn.functional.interpolate(picture.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    data = (picture * 255).round().to(torch.uint8).contiguous().numpy().tobytes()
    return Image.frombytes(mode, (picture.shape[1], picture.shape[0]), data)


def thumbnail(value):
    """A small picture as a URL that holds it."""
    kept = io.BytesIO()
    made = pixels(value, _EDGE)
    (made.convert("RGB") if made.mode == "RGBA" else made).save(kept, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(kept.getvalue()).decode()


def difference(one, other):
    """How two tensors differ in words, or "" where they do not; and the largest difference of two numbers."""
    import torch

    one, other = as_tensor(one).detach(), as_tensor(other).detach()
    if shape(one) != shape(other):
        return f"the shapes differ: {shape(one)} and {shape(other)}", None
    largest, odd = 0.0, 0
    for left, right in zip(one.reshape(-1).split(_PART), other.reshape(-1).split(_PART)):
        left, right = (part.cpu().to(torch.complex128 if part.is_complex() else torch.float64) for part in (left, right))
        # Equal infinities, and two that are no number, do not differ.
        alike = (left == right) | (left.isnan() & right.isnan())
        gaps = (left - right).abs()[~alike]
        odd += int((~gaps.isfinite()).sum())
        gaps = gaps[gaps.isfinite()]
        largest = max(largest, gaps.max().item() if gaps.numel() else 0.0)
    told = []
    if largest:
        told.append(f"the largest difference is {largest:.6g}")
    if odd:
        told.append(f"{odd} numbers are NaN or infinite in one of them only")
    if not told and kind(one) != kind(other):
        told.append(f"the numbers are equal, their types are not: {kind(one)} and {kind(other)}")
    return "; ".join(told), largest
