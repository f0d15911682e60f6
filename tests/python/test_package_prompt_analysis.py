"""`xdev_llm.prompt.analyze` and the counting of CLIP tokens, from Python. No server takes part in this."""

import threading

import pytest
import xdev_llm
from xdev_llm import prompt


def test_an_analysis_is_a_dict_with_a_report():
    found = prompt.analyze("a cat, day, (night:1.2), <lora:fur:0.8>, a cat")
    assert (found["words"], found["phrases"], found["within_limit"]) == (6, 5, True)
    assert found["weights"]["pieces"] == [["night", 1.2]] and found["loras"][0]["strength"] == 0.8
    assert found["conflicts"] == [{"first": "day", "second": "night"}]
    assert found["duplicates"] == [{"text": "a cat", "count": 2}]
    assert found["report"].startswith("Words: 6") and "Conflicts: day and night" in found["report"]


def test_keywords_change_what_they_say():
    assert prompt.analyze("a cat", limit=1)["within_limit"] is False
    assert prompt.analyze("embedding:x", embeddings={"x": 7})["clip"]["tokens"] == 7
    assert len(prompt.analyze("a BREAK b", dialect="a1111")["clip"]["chunks"]) == 2
    text = "a cat (red:1.2) :)"
    assert "Weights:" not in prompt.analyze(text, level="basic")["report"]
    assert "Frequent words:" in prompt.analyze(text, level="comprehensive")["report"]
    assert "Frequent words:" in prompt.analyze(text, frequency=True)["report"]
    less = prompt.analyze(text, weights=False, problems=False)["report"]
    assert "Weights:" not in less and "Problems:" not in less


@pytest.mark.parametrize("wrong", [{"dialect": "x"}, {"level": "deep"}])
def test_names_that_are_none_are_refused(wrong):
    with pytest.raises(xdev_llm.InvalidInput, match=next(iter(wrong.values()))):
        prompt.analyze("a", **wrong)


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"embeddings": {"x": -1}}, {"embeddings": {"x": 1 << 16}}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(OverflowError):
        prompt.analyze("a", **wrong)


def test_tokens_are_numbers_of_the_vocabulary():
    assert prompt.clip_tokens("A cat!") == [320, 2368, 256]
    assert prompt.count_clip_tokens("A cat!") == 3 and prompt.count_clip_tokens("") == 0


def test_other_threads_run_meanwhile():
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(prompt.count_clip_tokens("a cat " * 50_000))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100_000] * 4
