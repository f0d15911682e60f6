"""
The native part of xdev_llm.
"""

from _typeshed import SupportsGetItem
from os import PathLike
from typing import Any, Final, SupportsFloat, SupportsIndex, final

__all__ = ["__version__", "Call", "ChatEvent", "ChatReply", "ChatRun", "Client", "ModelInfo", "PromptIterator", "ServerInfo", "Wildcards", "append_history", "builtin_presets", "count_tokens", "discover", "looks_like_key", "models", "parse_history", "prompt_analyze", "prompt_apply_style", "prompt_clean", "prompt_clip_tokens", "prompt_combine", "prompt_convert", "prompt_count_clip_tokens", "prompt_expand", "prompt_iterate", "prompt_library_notes", "prompt_matrix", "prompt_matrix_size", "prompt_parse", "prompt_person", "prompt_person_categories", "prompt_search_styles", "prompt_style", "prompt_style_categories", "prompt_weight", "trim_history"]

__version__: Final[str]

@final
class Call:
    """
    A question to a server, while it is asked.

    Dropping it cancels it; so does cancelling the task that awaits it.
    """
    def __await__(self, /) -> Any: ...
    def cancel(self, /) -> None:
        """
        Ends it with Interrupted, unless it has ended already.
        """
    @property
    def done(self, /) -> bool:
        """
        Whether it has ended.
        """
    @property
    def progress(self, /) -> dict | None:
        """
        How far a load, an unload or a download is: a dict with the phase (loading_model, unloading_model or pulling_model) and
        what the server tells of it; None where nothing was told.
        """
    def wait(self, /) -> Any:
        """
        Waits for the result. Other threads go on, and Ctrl-C ends it.
        """

@final
class ChatEvent:
    """
    A thing that happened while an answer arrived.

    `kind` is one of started, loading_model, reading_prompt, reasoning, text, text_was_reasoning, tool_call, usage,
    timing, extra and finished; where several models are asked, also begun (its turn has come) and ended.
    """
    def __repr__(self, /) -> str: ...
    @property
    def data(self, /) -> dict | None:
        """
        The details, for the kinds that have some.
        """
    @property
    def kind(self, /) -> str:
        """
        What happened.
        """
    @property
    def progress(self, /) -> float | None:
        """
        The share that is done, 0 to 1, where the server tells it.
        """
    @property
    def text(self, /) -> str:
        """
        A piece of text, for text, reasoning, finished (the reason) and ended (the failure); empty for the others.
        """

@final
class ChatReply:
    """
    A whole answer, or with an error what had arrived of one.
    """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str: ...
    @property
    def conversation(self, /) -> str:
        """
        The conversation as JSON: the history, the prompt and this answer, with the system message that was sent.
        """
    @property
    def extra(self, /) -> dict:
        """
        Fields of the answer that have no name here, as they came.
        """
    @property
    def finish_reason(self, /) -> str | None:
        """
        Why it ended: stop, length, tool_calls or content_filter; None only in a partial answer.
        """
    @property
    def id(self, /) -> str | None:
        """
        The server's id of the answer.
        """
    @property
    def model(self, /) -> str | None:
        """
        The model that answered, as the server names it.
        """
    @property
    def notes(self, /) -> list[str]:
        """
        What a person should know about the choice of the server.
        """
    @property
    def reasoning(self, /) -> str:
        """
        The model's thinking.
        """
    @property
    def sent(self, /) -> dict:
        """
        What was asked of which server: server_kind, url, model, parameters and not_sent.
        """
    @property
    def server(self, /) -> dict | None:
        """
        The server that answered: url, kind, name and source, and for an alias its route: alias, taken (from 1) and tried,
        each with server, model and why. None where none was reached.
        """
    @property
    def stats(self, /) -> dict:
        """
        The numbers of this answer; what is not known is left out, times are seconds.
        """
    @property
    def text(self, /) -> str:
        """
        The answer. The model's thinking is never in it.
        """
    @property
    def timing(self, /) -> dict:
        """
        Times in seconds; None is not known.
        """
    @property
    def tool_calls(self, /) -> list[dict]:
        """
        The calls the model asks for, each with id, name and arguments (JSON text).
        """
    @property
    def usage(self, /) -> dict:
        """
        Counts of tokens; None is not told.
        """
    @property
    def warnings(self, /) -> list[str]:
        """
        Things a person should know although the answer came.
        """

@final
class ChatRun:
    """
    A chat while it runs: wait for it, await it, iterate over its events, or cancel it.

    Dropping it cancels it, and the server stops; so does cancelling the task that awaits it. The result may be asked
    for several times; each event is iterated over once.
    """
    def __aiter__(self, /) -> ChatRun: ...
    def __anext__(self, /) -> Any: ...
    def __await__(self, /) -> Any: ...
    def __iter__(self, /) -> ChatRun: ...
    def __next__(self, /) -> ChatEvent: ...
    def cancel(self, /) -> None:
        """
        Ends it with Interrupted, unless it has ended already; the error has what had arrived as `partial`.
        """
    @property
    def done(self, /) -> bool:
        """
        Whether it has ended.
        """
    @property
    def notes(self, /) -> list[str]:
        """
        What a person should know about the choice of the server, so far.
        """
    @property
    def server(self, /) -> dict | None:
        """
        The server that is asked, as soon as it is known: url, kind, name and source.
        """
    @property
    def text(self, /) -> str:
        """
        The text of the answer so far.
        """
    def wait(self, /) -> ChatReply:
        """
        Waits for the whole answer. Other threads go on, and Ctrl-C cancels it.
        """

@final
class Client:
    """
    Talks to model servers; reads the config when it is made and opens nothing.

    What is given here beats the config, as the command's flags do. Servers and models are remembered for a minute.
    """
    def __new__(cls, /, *, server: str | None = None, model: str | None = None, preset: str | None = None, system: str | None = None, timeout: SupportsIndex | None = None, deadline: SupportsIndex | None = None, concurrency: SupportsIndex | None = None, reasoning: str | None = None) -> Client:
        """
        Reads the config; raises ConfigError for what is wrong in it and InvalidInput for a wrong value given here.
        """
    @property
    def aliases(self, /) -> dict:
        """
        The aliases of the config by name: their routes in the order in which they are tried, each with what it sets of
        server, model, context_length and keep_alive.
        """
    def chat(self, /, prompt: str | None = None, *, messages: "str | list[dict] | None" = None, system_prompt: str | None = None, server: str | None = None, model: str | None = None, preset: str | None = None, temperature: SupportsFloat | SupportsIndex | None = None, top_p: SupportsFloat | SupportsIndex | None = None, top_k: SupportsIndex | None = None, min_p: SupportsFloat | SupportsIndex | None = None, max_tokens: SupportsIndex | None = None, seed: SupportsIndex | None = None, stop: "list[str] | None" = None, presence_penalty: SupportsFloat | SupportsIndex | None = None, frequency_penalty: SupportsFloat | SupportsIndex | None = None, repeat_penalty: SupportsFloat | SupportsIndex | None = None, reasoning: str | None = None, response_format: "str | dict | None" = None, keep_alive: SupportsIndex | None = None, context_length: SupportsIndex | None = None, timeout: SupportsFloat | SupportsIndex | None = None, deadline: SupportsFloat | SupportsIndex | None = None, auto_detect_server: bool = False, extra: dict | None = None, on_events: Any | None = None, interval: SupportsFloat | SupportsIndex = 0.05) -> ChatRun:
        """
        Starts a chat at once and gives the run: wait for it, await it or iterate over it.

        server is a URL or a configured name; without one it is the config's, else the first found on this machine.
        model "auto" is the loaded one; an alias of the config wins over a model of its name, and auto_detect_server then
        does nothing, because its routes say where else to go. A value given here beats the preset's. system_prompt replaces a system message
        of messages; without it the history's own stays, else the preset's, else the config's. With auto_detect_server,
        and only when nothing answers at the server, the first one found on this machine is taken, and the notes say so.
        on_events is called from another thread every interval seconds with the events that arrived, and a last time with the
        rest; when it returns False or raises, the run ends with Interrupted.
        """
    def check(self, /, prompt: Any | None = None, **keywords) -> list[tuple[str, str]]:
        """
        Every bad one of chat's keywords, as (name, what is wrong); an empty list means that all are well.

        Asks nobody. It also refuses texts that look like a key, which have no place in a workflow.
        """
    def compare(self, /, prompt: str | None = None, *, models: "list[str]", parallel: bool = False, on_events: Any | None = None, interval: SupportsFloat | SupportsIndex = 0.05, **keywords) -> Call:
        """
        Asks several models the same, one after another in this order or side by side with parallel, as a call that gives a
        list of dicts in the order of models: model as it was asked for, reply (a ChatReply, or None) and error (an Error,
        or None). A model that fails leaves the others alone. A model may be an alias; the keywords are those of chat.

        on_events is called as chat calls it, with pairs of a model's index and an event; events of kind begun and ended
        say when a model's turn comes and is over. auto_detect_server replaces the server for all models that are no alias.
        """
    def discover(self, /, *, fresh: bool = False) -> Call:
        """
        The model servers on this machine, as a call that gives a list of ServerInfo; ends after 0.3 s at most. Fresh looks
        anew for what is remembered for five minutes.
        """
    def doctor(self, /, server: str | None = None, model: str | None = None) -> Call:
        """
        Looks at every step between this machine and an answer, as a call that gives a dict: works, and checks, each with
        status (ok, warn or fail), name, message and, where there is one, cure.
        """
    def forecast(self, /, model: str | None = None, *, server: str | None = None, context_length: SupportsIndex | None = None) -> Call:
        """
        Says whether a model would fit, before it is loaded, as a call that gives a dict: verdict (fits, evicts, spills or
        unknown), sentence, need, device, context_length, largest_context_that_fits. Loads nothing.
        """
    def load(self, /, model: str | None = None, *, server: str | None = None, context_length: SupportsIndex | None = None, keep_alive: SupportsIndex | None = None, must_unload: bool = False) -> Call:
        """
        Loads a model unless it is there, as a call that gives a dict once the server's own list has it: server, id,
        was_loaded, duration, context_length, evicted, not_sent, …

        context_length is what it must have at least; keep_alive is in seconds, -1 for ever. A load that has begun goes on
        when the call is dropped: an unload that comes after it finds the model. must_unload refuses a model that this
        server could not unload again.
        """
    def loaded(self, /, server: str | None = None) -> Call:
        """
        What a server has in memory, asked now, as a call that gives a list of dicts: id, instance, state, context_length,
        size_bytes, vram_bytes, expires_at; what is not told is left out.
        """
    def models(self, /, server: str | None = None, *, fresh: bool = False) -> Call:
        """
        The models of a server, as a call that gives a list of ModelInfo; fresh asks anew what is remembered.
        """
    @property
    def presets(self, /) -> dict:
        """
        Every preset by name, with the values it sets: the built-in ones and the user's.
        """
    def pull(self, /, model: str, *, server: str | None = None) -> Call:
        """
        Downloads a model to a server, as a call that gives a dict: server, model, duration, total_bytes. Dropping or
        cancelling it ends the download.
        """
    def resolve(self, /, server: str | None = None, model: str | None = None, *, auto_detect_server: bool = False) -> Call:
        """
        Which server and model a chat with these would ask now, as a call that gives a dict of url and model; the list of
        models is asked anew. It tells whether "auto" means another one than last time.
        """
    def server(self, /, server: str | None = None, *, fresh: bool = False) -> Call:
        """
        What a server tells about itself, as a call that gives a ServerInfo; fresh asks anew what is remembered.
        """
    @property
    def servers(self, /) -> dict:
        """
        The configured servers: name and URL.
        """
    def switch(self, /, model: str, *, server: str | None = None, context_length: SupportsIndex | None = None, keep_alive: SupportsIndex | None = None) -> Call:
        """
        Puts a model in the place of all others, as a call that gives a dict: loaded, unloaded, side_by_side. Where both
        fit, the new one is loaded before the old ones go. What the arguments mean is told by load.
        """
    def unload(self, /, model: str | None = None, *, server: str | None = None, all: bool = False) -> Call:
        """
        Unloads every copy of a model, or with all everything, as a call that gives a dict once the server's own list has it
        no longer: server, models, duration, freed_bytes.

        Without a model it is the one that "auto" means. It goes on to its end when the call is dropped or cancelled.
        """

@final
class ModelInfo:
    """
    A model, as its server tells of it.
    """
    def __repr__(self, /) -> str: ...
    def as_dict(self, /) -> dict:
        """
        Everything as a dict; what is not told is left out.
        """
    @property
    def capabilities(self, /) -> list[str]:
        """
        What it can do beyond chat, in the server's words, such as tool_use.
        """
    @property
    def context_length(self, /) -> int | None:
        """
        The longest context it can have, in tokens.
        """
    @property
    def id(self, /) -> str:
        """
        The name to ask for, in the server's own spelling.
        """
    @property
    def kind(self, /) -> str:
        """
        What it is for: llm, vision, embedding, rerank or other.
        """
    @property
    def loaded_context_length(self, /) -> int | None:
        """
        The context it is loaded with, in tokens.
        """
    @property
    def owned_by(self, /) -> str | None:
        """
        Who made it or owns it.
        """
    @property
    def parameters(self, /) -> int | None:
        """
        How many weights it has.
        """
    @property
    def quantization(self, /) -> str | None:
        """
        How its weights are stored, such as Q4_K_M.
        """
    @property
    def size_bytes(self, /) -> int | None:
        """
        Its size on disk, in bytes.
        """
    @property
    def state(self, /) -> str:
        """
        Whether it is in memory: loaded, loading, not_loaded or unknown.
        """
    @property
    def vram_bytes(self, /) -> int | None:
        """
        The GPU memory it takes now, in bytes.
        """

@final
class PromptIterator:
    """
    Prompts one after another.
    """
    def __iter__(self, /) -> PromptIterator: ...
    def __next__(self, /) -> str: ...
    @property
    def left(self, /) -> int:
        """
        How many are still to come; 2^128 - 1 where there are more.
        """

@final
class ServerInfo:
    """
    What a server tells about itself.
    """
    def __repr__(self, /) -> str: ...
    def as_dict(self, /) -> dict:
        """
        Everything as a dict, ready for JSON.
        """
    @property
    def auto(self, /) -> str | None:
        """
        The model that "auto" takes; None where none can chat.
        """
    @property
    def health(self, /) -> str:
        """
        Its state: ready, loading, needs_key, no_model or unwell (`notes` say how).
        """
    @property
    def kind(self, /) -> str:
        """
        What it is, such as lmstudio, ollama or llama.cpp.
        """
    @property
    def latency_ms(self, /) -> float:
        """
        How long the question for its health took, in milliseconds.
        """
    @property
    def models(self, /) -> list:
        """
        Its models.
        """
    @property
    def name(self, /) -> str:
        """
        Its name for people.
        """
    @property
    def notes(self, /) -> list[str]:
        """
        What a person should know.
        """
    @property
    def source(self, /) -> str:
        """
        Why it was taken: given, configured, discovered or engine.
        """
    @property
    def url(self, /) -> str:
        """
        Its address.
        """
    @property
    def version(self, /) -> str | None:
        """
        Its version, where it tells.
        """

@final
class Wildcards:
    """
    The wildcards of folders, which are looked at again when their files change, once a second at most.
    """
    def __new__(cls, /, folders: SupportsGetItem[int, str | PathLike[str]]) -> Wildcards: ...
    def fingerprint(self, /) -> int:
        """
        A number that changes when a file does; it means something within one process only.
        """
    def names(self, /) -> list[str]:
        """
        Their names, in order.
        """
    def problems(self, /) -> list[str]:
        """
        What could not be read, and why.
        """

def append_history(text: str, messages: list) -> str:
    """
    Adds messages to a conversation in JSON; what was there keeps every byte.
    """

def builtin_presets() -> dict:
    """
    The built-in presets by name, with the values they set.
    """

def count_tokens(text: str) -> int:
    """
    Estimates the tokens of a conversation in JSON, or of any other text: tokenizers differ by a third.
    """

def discover() -> "list[ServerInfo]":
    """
    The model servers on this machine.
    """

def looks_like_key(text: str) -> bool:
    """
    Whether a text looks like an API key, so that a field that is saved with a workflow can refuse it.
    """

def models(server: str | None = None) -> "list[ModelInfo]":
    """
    The models of a server: of the one given by URL or name, else of the config's, else of the first found.
    """

def parse_history(text: str) -> list[dict]:
    """
    Reads a conversation in JSON and gives its messages; raises InvalidInput with line and column.
    """

def prompt_analyze(text: str, *, dialect: str = "comfyui", level: str = "detailed", limit: SupportsIndex = 75, embeddings: dict[str, SupportsIndex] | None = None, weights: bool = True, frequency: bool | None = None, problems: bool = True) -> dict:
    """
    What was found in a prompt: counts, weights, tags, tokens in chunks, duplicates, conflicts, problems; "report" has it in words.

    `level` is basic, detailed or comprehensive; `weights`, `frequency` and `problems` say whether the report has these.
    `limit` is how many CLIP tokens are wanted at most, `embeddings` how many an embedding stands for, by name (1 where it
    is not told).
    """

def prompt_apply_style(name: str, prompt: str = "", *, negative: str = "", library: SupportsGetItem[int, str | PathLike[str]] | None = None) -> "dict[str, str]":
    """
    A prompt in the named style: name, positive and negative.
    """

def prompt_clean(text: str, *, strip_model_talk: bool = True, remove_duplicates: bool = True, fix_spacing: bool = True, fix_punctuation: bool = True, remove_empty_weights: bool = True, case: str = "none", sort_alphabetically: bool = False, max_length: SupportsIndex | None = None, encoder_safe: str = "keep", dialect: str = "comfyui") -> dict:
    """
    A prompt that is tidy and fit for an encoder: a dict with `text`, `changed` and `changes`.

    `case` is none, lower, title or sentence; `max_length` is in characters; `encoder_safe` is none, escape or keep.
    """

def prompt_clip_tokens(text: str) -> list[int]:
    """
    The numbers of a plain text's CLIP tokens, without begin and end; weights and brackets are text like other.
    """

def prompt_combine(prompts: SupportsGetItem[int, str], *, weights: SupportsGetItem[int, SupportsFloat | SupportsIndex] | None = None, mode: str = "concatenate", separator: str = "comma", custom_separator: str = "", dialect: str = "comfyui") -> dict:
    """
    Several prompts as one: a dict with `text`, `prompts`, `order` and `duplicates`.

    `weights` go with the prompts one by one, and are 1 where there are none. `separator` is comma, space, newline, pipe,
    semicolon, or custom with `custom_separator`.
    """

def prompt_convert(text: str, *, source: str, target: str) -> tuple[str, list[str]]:
    """
    The prompt as the other dialect gives it the same weights, and what that dialect cannot say: (text, warnings).
    """

def prompt_count_clip_tokens(text: str) -> int:
    """
    How many CLIP tokens a plain text has, without begin and end; weights and brackets are text like other.
    """

def prompt_expand(template: str, *, limit: SupportsIndex | None = None, seed: SupportsIndex | None = None, wildcards: Wildcards | None = None) -> "list[str]":
    """
    The prompts that a template stands for: all in turn, or with a seed as many as the limit says (one), drawn.
    """

def prompt_iterate(template: str, *, start: SupportsIndex = 0, wildcards: Wildcards | None = None) -> PromptIterator:
    """
    The same one after another, from a number on, in memory that does not grow.
    """

def prompt_library_notes(*, library: SupportsGetItem[int, str | PathLike[str]] | None = None) -> list[str]:
    """
    What was wrong with files of the library of styles, a sentence each.
    """

def prompt_matrix(text: str, *, mode: str = "all_combinations", base: str = "", separator: str = ", ", limit: SupportsIndex | None = None, shuffle: bool = False, seed: SupportsIndex = 0) -> "list[str]":
    """
    The combinations of the parts of a text, `a | b | c`, a line a group.
    """

def prompt_matrix_size(text: str, *, mode: str = "all_combinations") -> tuple[int, int]:
    """
    How many combinations the parts of a text have, and how many parts there are: (combinations, parts).
    """

def prompt_parse(text: str, *, dialect: str = "comfyui") -> list[tuple[str, float]]:
    """
    The pieces of a prompt with the weights that an encoder gives them: a list of (text, weight).
    """

def prompt_person(choices: dict[str, str] | None = None, *, prompt: str = "", position: str = "after", custom: str = "", quality: bool = False, randomize: bool = False, seed: SupportsIndex = 0, data: SupportsGetItem[int, str | PathLike[str]] | None = None) -> "dict[str, Any]":
    """
    A prompt with a person that is built of categories: entries, "auto" or "none" by category.

    Gives what prompt_style does.
    """

def prompt_person_categories(*, data: SupportsGetItem[int, str | PathLike[str]] | None = None, own: bool = True) -> dict[str, list[str]]:
    """
    The names that can be chosen in each category of a person; without own only the built-in ones.
    """

def prompt_search_styles(words: str = "", *, library: SupportsGetItem[int, str | PathLike[str]] | None = None, own: bool = True) -> "list[dict[str, str]]":
    """
    The named styles that have all the words, the best first; each has name, prompt and negative_prompt.

    library are JSON files or folders of one's own, beside the folder "prompt/library" of the user's config; without own
    that folder is not read.
    """

def prompt_style(choices: dict[str, str] | None = None, *, prompt: str = "", position: str = "after", custom: str = "", weight: SupportsFloat | SupportsIndex = 1.0, quality: bool = False, randomize: bool = False, seed: SupportsIndex = 0, data: SupportsGetItem[int, str | PathLike[str]] | None = None) -> "dict[str, Any]":
    """
    A prompt in a style that is built of categories: entries, "auto" or "none" by category.

    Gives prompt, added, pieces, left_out, notes and seed. data are TOML files of one's own, beside those in the folder
    "prompt" of the user's config.
    """

def prompt_style_categories(*, data: SupportsGetItem[int, str | PathLike[str]] | None = None, own: bool = True) -> dict[str, list[str]]:
    """
    The names that can be chosen in each category of a style; without own only the built-in ones.
    """

def prompt_weight(text: str, operation: str = "add_emphasis", *, value: SupportsFloat | SupportsIndex = 1.1, target: str = "", by: str = "mean", dialect: str = "comfyui") -> dict:
    """
    A prompt with other weights: a dict with `text`, `changed` and `found`.

    `operation` is `add_emphasis`, `add_deemphasis`, `multiply_existing`, `remove_weights` or `normalize_weights`, of which the
    last brings the mean (or with `by="maximum"` the largest) of the weights to `value`.
    """

def trim_history(text: str, max_tokens: SupportsIndex) -> str:
    """
    Drops the oldest messages until the rest has at most max_tokens by estimate; the system message and the last
    question stay. Text that fits comes back as it was.
    """
