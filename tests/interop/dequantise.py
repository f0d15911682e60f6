"""A model folder as vLLM and transformers want it, made from a GGUF file. Run as: dequantise.py FROM TO.

Runs in vLLM's own environment. Not here: any test.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

source, target = Path(sys.argv[1]), sys.argv[2]
place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
config = read.config
# transformers does not save what it knows to be quantised: a fresh model takes the numbers over.
if hasattr(config, "quantization_config"):
    del config.quantization_config
fresh = LlamaForCausalLM(config).to(torch.bfloat16)
fresh.load_state_dict({name: tensor.to(torch.bfloat16) for name, tensor in read.state_dict().items()})
fresh.save_pretrained(target)
AutoTokenizer.from_pretrained(**place).save_pretrained(target)
