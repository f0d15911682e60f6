"""The Python clients: one client, one job, in a process of its own.

Reads a count a line, does the job so often, and prints one JSON line with the times, its CPU time and its memory, as
the Rust workers do. Each client is used as its own documentation shows it; only what a job needs is imported.
"""

import asyncio
import json
import sys
import time

MODEL = "bench-model"
PROMPT = "Tell me about the sea."
MESSAGES = [{"role": "user", "content": PROMPT}]
# What a client of this kind usually waits for a port that says nothing.
SCAN_TIMEOUT = 2.0


def body(stream):
    return {"model": MODEL, "messages": MESSAGES, "stream": stream}


def pieces(lines):
    """The text of each event of a stream given as lines."""
    for line in lines:
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        choices = json.loads(line[6:])["choices"]
        content = choices[0]["delta"].get("content") if choices else None
        if content:
            yield content


def gather(begin, source):
    """The whole text, and when its first piece came."""
    first, parts = None, []
    for piece in source:
        if first is None:
            first = time.perf_counter() - begin
        parts.append(piece)
    return first, "".join(parts)


class Requests:
    def __init__(self):
        import requests

        self.make = requests.Session
        self.get = requests.get
        self.failure = requests.RequestException

    def call(self, session, url):
        answer = session.post(f"{url}/v1/chat/completions", json=body(False))
        return answer.json()["choices"][0]["message"]["content"]

    def stream(self, session, url):
        with session.post(f"{url}/v1/chat/completions", json=body(True), stream=True) as answer:
            yield from pieces(line.decode() for line in answer.iter_lines())

    def find(self, ports):
        """Asks port after port, as a plain script does."""
        for port in ports:
            url = f"http://127.0.0.1:{port}"
            try:
                if "data" in self.get(f"{url}/v1/models", timeout=SCAN_TIMEOUT).json():
                    return url
            except (self.failure, ValueError):
                continue
        return None


class Httpx:
    def __init__(self):
        import httpx

        self.make = httpx.Client
        self.asynchronous = httpx.AsyncClient
        self.failure = httpx.HTTPError

    def call(self, client, url):
        answer = client.post(f"{url}/v1/chat/completions", json=body(False))
        return answer.json()["choices"][0]["message"]["content"]

    def stream(self, client, url):
        with client.stream("POST", f"{url}/v1/chat/completions", json=body(True)) as answer:
            yield from pieces(answer.iter_lines())

    def find(self, ports):
        """Asks all ports at once and takes the first that answers well."""
        return asyncio.run(self.find_first(ports))

    async def find_first(self, ports):
        async with self.asynchronous(timeout=SCAN_TIMEOUT) as client:

            async def look(port):
                url = f"http://127.0.0.1:{port}"
                try:
                    return url if "data" in (await client.get(f"{url}/v1/models")).json() else None
                except (self.failure, ValueError):
                    return None

            tasks = [asyncio.create_task(look(port)) for port in ports]
            try:
                for next_done in asyncio.as_completed(tasks):
                    found = await next_done
                    if found:
                        return found
            finally:
                for task in tasks:
                    task.cancel()
        return None


class Aiohttp:
    def __init__(self):
        import aiohttp

        self.session = aiohttp.ClientSession
        self.loop = asyncio.new_event_loop()

    def make(self):
        async def make():
            return self.session()

        return self.loop.run_until_complete(make())

    def stream(self, session, url):
        return self.loop.run_until_complete(self.read(session, url))

    async def read(self, session, url):
        async with session.post(f"{url}/v1/chat/completions", json=body(True)) as answer:
            return list(pieces([line.decode().rstrip("\r\n") async for line in answer.content]))


class XdevLlm:
    """Ours, from Python: the whole text in one piece."""

    def __init__(self):
        import xdev_llm

        self.make = xdev_llm.Client

    def stream(self, client, url):
        # The default would cut the answer after 1,024 tokens.
        yield client.chat(PROMPT, server=url, model=MODEL, max_tokens=8192).wait().text


class OpenAi:
    def __init__(self):
        import openai

        self.openai = openai

    def make(self):
        return self.openai.OpenAI(base_url=f"{sys.argv[3]}/v1", api_key="none")

    def call(self, client, _url):
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return answer.choices[0].message.content

    def stream(self, client, _url):
        for piece in client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            if piece.choices and piece.choices[0].delta.content:
                yield piece.choices[0].delta.content


def append(name, path):
    message = {"role": "user", "content": PROMPT}
    with open(path, encoding="utf-8") as file:
        text = file.read()
    is_ascii = text.isascii()

    def add():
        messages = json.loads(text)
        messages.append(message)
        json.dumps(messages, ensure_ascii=is_ascii)

    if name == "xdev-llm":
        from xdev_llm import append_history

        def add():
            append_history(text, [message])

    def go():
        begin = time.perf_counter()
        add()
        return time.perf_counter() - begin, None

    return go


def find(client, expected, ports):
    def go():
        begin = time.perf_counter()
        found = client.find(ports)
        taken = time.perf_counter() - begin
        if found != (expected or None):
            raise SystemExit(f"the scan found {found}, not {expected}")
        return taken, None

    return go


def chat(client, job, url):
    is_cold = job == "first-call"
    kept = None if is_cold else client.make()

    def go():
        begin = time.perf_counter()
        session = client.make() if is_cold else kept
        if job in ("call", "first-call"):
            text = client.call(session, url)
            taken = time.perf_counter() - begin
        else:
            first, text = gather(begin, client.stream(session, url))
            taken = first if job == "first-token" else time.perf_counter() - begin
        return taken, len(text)

    return go


CLIENTS = {"requests": Requests, "httpx": Httpx, "openai": OpenAi, "aiohttp": Aiohttp, "xdev-llm": XdevLlm}


def main():
    name, job, target, *more = sys.argv[1:]
    if job == "append":
        go = append(name, target)
    else:
        client = CLIENTS[name]()
        if job in ("find", "find-none"):
            go = find(client, target if job == "find" else None, [int(port) for port in more])
        else:
            go = chat(client, job, target)
    for line in sys.stdin:
        before = time.process_time()
        done = [go() for _ in range(int(line))]
        cpu_seconds = time.process_time() - before
        with open("/proc/self/status", encoding="ascii") as status:
            peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        report = {
            "seconds": [seconds for seconds, _ in done],
            "cpu_seconds": cpu_seconds,
            "peak_kib": peak_kib,
            "text": done[-1][1],
        }
        print(json.dumps(report), flush=True)


main()
