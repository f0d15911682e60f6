"""The peers as ComfyUI nodes: `requests` and the `openai` SDK, as their documentation shows them.

They ask the same of the same server as our chat node. Only what a node needs is imported, when it first runs.
"""

import json

from server import PromptServer

# The connection is kept between calls; made anew for each; kept, and the answer comes as a stream; the same,
# and what has come is shown in the node with each token.
KEPT, NEW, STREAM, SHOWN = "kept", "new", "stream", "shown"


class Peer:
    """`Peer` is what the nodes have in common."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "bench"
    _kept = None

    @classmethod
    def INPUT_TYPES(cls):
        required = {
            "prompt": ("STRING", {}),
            "server_url": ("STRING", {}),
            "model": ("STRING", {}),
            "seed": ("INT", {"default": 0, "max": 2**31 - 1}),
            "mode": ([KEPT, NEW, STREAM, SHOWN],),
        }
        return {"required": required, "hidden": {"node_id": "UNIQUE_ID"}}

    def run(self, prompt, server_url, model, seed, mode, node_id):
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 8192, "seed": seed}
        text = self.ask(server_url, body, mode, Progress(node_id) if mode == SHOWN else None)
        if not text:
            raise RuntimeError("the server answered with nothing")
        return {"ui": {"text": [text]}, "result": (text,)}

    def kept(self, make):
        """What stays between calls, whichever object ComfyUI made."""
        cls = type(self)
        if cls._kept is None:
            cls._kept = make()
        return cls._kept


class Progress:
    """`Progress` shows text in the node the way ComfyUI offers it: all of it, each time."""

    def __init__(self, node_id):
        self.node_id = node_id
        self.server = PromptServer.instance

    def show(self, text):
        self.server.send_progress_text(text, self.node_id, sid=self.server.client_id)


def gather(pieces, progress):
    """The whole text."""
    text = ""
    for piece in pieces:
        text += piece
        if progress:
            progress.show(text)
    return text


class Nothing(Peer):
    """`Nothing` is what the host itself takes for a node."""

    def ask(self, server_url, body, mode, progress):
        return "nothing"


class Requests(Peer):
    """`Requests` is the plain node."""

    def ask(self, server_url, body, mode, progress):
        import requests

        post = requests.post if mode == NEW else self.kept(requests.Session).post
        url = f"{server_url}/v1/chat/completions"
        if mode in (KEPT, NEW):
            answer = post(url, json=body, timeout=120)
            answer.raise_for_status()
            return answer.json()["choices"][0]["message"]["content"]
        with post(url, json={**body, "stream": True}, stream=True, timeout=120) as answer:
            answer.raise_for_status()
            return gather(self.pieces(answer.iter_lines()), progress)

    def pieces(self, lines):
        for line in lines:
            if not line.startswith(b"data: ") or line == b"data: [DONE]":
                continue
            choices = json.loads(line[6:])["choices"]
            piece = choices[0]["delta"].get("content") if choices else None
            if piece:
                yield piece


class OpenAi(Peer):
    """`OpenAi` is a node with the SDK."""

    def ask(self, server_url, body, mode, progress):
        from openai import OpenAI

        def make():
            return OpenAI(base_url=f"{server_url}/v1", api_key="none")

        client = make() if mode == NEW else self.kept(make)
        if mode in (KEPT, NEW):
            return client.chat.completions.create(**body).choices[0].message.content
        events = client.chat.completions.create(**body, stream=True)
        pieces = (event.choices[0].delta.content for event in events if event.choices)
        return gather((piece for piece in pieces if piece), progress)


NODE_CLASS_MAPPINGS = {"Bench_Nothing": Nothing, "Bench_Requests": Requests, "Bench_OpenAi": OpenAi}
