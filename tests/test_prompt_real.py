"""Prompts beside a real ComfyUI: the weights that its own parser reads, and the numbers of its own tokenizer.

The parser is taken out of the checkout that COMFYUI_DIR names, because it runs without torch; the tokenizer needs
transformers in COMFYUI_PYTHON. What was recorded from both is in `fixtures/comfyui`. Not here: nodes (`nodes`).
"""

import ast
import json
import math
import os
import random
import subprocess
from pathlib import Path

import pytest

from conftest import COMMAND

COMFYUI = os.environ.get("COMFYUI_DIR")
PYTHON = os.environ.get("COMFYUI_PYTHON")
COUNT = 4000
PIECES = (
    *"()()()[]{}|,:\\\n ",
    *("((", "))", "\\(", "\\)", ":1.2)", ":0.5)", ": 1e1 )", ":-.5)", ":1_0)", ":nan)", ":inf)", ":٣)", ":x)", "::1)"),
    *("a cat", "red ", "long_hair", "BREAK", "AND", "embedding:x", "<lora:a:1>"),
    *("\x00\x01", "\x00\x02", "é", "猫", "👍🏽", "it's"),
)
TOKENIZE = """
import json, sys
from transformers import CLIPTokenizer
tokenizer = CLIPTokenizer.from_pretrained(sys.argv[1])
if tokenizer.fix_text is not None:
    sys.exit("ftfy changes what it reads")
for line in sys.stdin:
    print(json.dumps(tokenizer(json.loads(line))["input_ids"][1:-1]))
"""

pytestmark = pytest.mark.skipif(not COMFYUI, reason="no real ComfyUI: set COMFYUI_DIR to a checkout")


@pytest.fixture(scope="module")
def texts():
    """Texts of pieces that mean something to a parser, the same at every call."""
    choose = random.Random(4)
    return ["".join(choose.choices(PIECES, k=choose.randint(1, 14))) for _ in range(COUNT)]


def parser():
    """The checkout's own functions that read weights, and a list into which go the numbers that they read."""
    source = (Path(COMFYUI) / "comfy" / "sd1_clip.py").read_text(encoding="utf-8")
    names = {"parse_parentheses", "token_weights", "escape_important", "unescape_important"}
    functions = [entry for entry in ast.parse(source).body if getattr(entry, "name", None) in names]
    assert len(functions) == len(names), "ComfyUI has these functions elsewhere"
    numbers = []

    def read_number(text):
        numbers.append(float(text))
        return numbers[-1]

    found = {"float": read_number}
    exec(compile(ast.Module(functions, []), "sd1_clip.py", "exec"), found)
    return found, numbers


def weights_of(parser, text):
    """What ComfyUI reads in a text: pieces and weights; None where it reads a number that is not finite, which we
    refuse even where a bracket inside has a number of its own."""
    functions, numbers = parser
    numbers.clear()
    pieces = functions["token_weights"](functions["escape_important"](text), 1.0)
    if not all(math.isfinite(number) for number in numbers):
        return None
    return [[functions["unescape_important"](piece), weight] for piece, weight in pieces]


def lines(command, texts):
    """Gives a program a text a line as JSON, and reads a value a line."""
    asked = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=asked, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_weights_are_those_of_its_own_parser(texts):
    its_own = parser()
    expected = {text: weights_of(its_own, text) for text in texts}
    finite = [text for text, pieces in expected.items() if pieces is not None]
    assert len(finite) > COUNT / 2
    ours = lines([COMMAND, "prompt", "parse", "--lines"], finite)
    wrong = [(text, expected[text], own) for text, own in zip(finite, ours, strict=True) if own != expected[text]]
    assert not wrong, f"{len(wrong)} of {len(finite)}, the first: {wrong[0]}"


def test_weights_that_are_not_finite_are_refused(texts):
    its_own = parser()
    refused = [text for text in texts if weights_of(its_own, text) is None][:20]
    assert refused
    for text in refused:
        asked = json.dumps(text).encode()
        done = subprocess.run([COMMAND, "prompt", "parse", "--lines"], input=asked, capture_output=True, check=False)
        assert done.returncode == 2, text


def test_tokens_are_those_of_its_own_tokenizer(texts):
    probe = [PYTHON, "-c", "import transformers"]
    if not PYTHON or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no transformers: set COMFYUI_PYTHON to ComfyUI's interpreter")
    prompt = pytest.importorskip("xdev_llm.prompt", reason="the package is not installed")
    folder = Path(COMFYUI) / "comfy" / "sd1_tokenizer"
    expected = lines([PYTHON, "-c", TOKENIZE, str(folder)], texts)
    wrong = [(text, own) for text, own in zip(texts, expected, strict=True) if prompt.clip_tokens(text) != own]
    assert not wrong, f"{len(wrong)} of {len(texts)}, the first: {wrong[0]}"
