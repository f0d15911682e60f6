/**
 * What the nodes have answered, kept apart from the nodes themselves.
 *
 * A node object lives only as long as its tab is shown; an answer outlives switched tabs, undo and reloads of the
 * graph. Answers are kept by workflow and by the node's id in the run ("5:3" inside a subgraph). Pure state: no DOM
 * and no network here; the view is panel.js, the wiring main.js.
 */

// Room for the answers in one item of a list: a node that compares models has one for each.
const PARTS = 1000;

/** One answer, report, chat or inspection: what a node shows for one item of a list. */
class Item {
  constructor() {
    this.begin();
  }

  begin() {
    this.text = "";
    this.reasoning = "";
    this.state = "waiting";
    this.headless = false;
    for (const name of ["title", "queued", "server", "model", "detected", "progress", "done", "error", "report", "chat", "inspection"]) {
      this[name] = undefined;
    }
  }

  /** Takes one message of the stream. */
  apply(message) {
    if (message.start) this.begin();
    if (message.reclassify) {
      this.reasoning += this.text;
      this.text = "";
    }
    for (const name of ["title", "queued", "server", "model", "detected"]) {
      if (message[name] !== undefined) this[name] = message[name];
    }
    this.reasoning += message.reasoning ?? "";
    this.text += message.text ?? "";
    this.progress = message.progress;
    if (message.text || message.reasoning) this.state = "streaming";
    if (message.done) this.finish("done", { done: message.done });
    if (message.stopped) this.finish("stopped", {});
    if (message.error !== undefined) this.finish("error", { error: message.error });
  }

  /** Takes the final value, which replaces what was streamed. */
  replace(result) {
    const { detected } = this;
    this.begin();
    // A part that failed is shown beside those that did not.
    const state = result.title && result.error !== undefined ? "error" : "done";
    this.finish(state, { detected, ...result });
  }

  finish(state, fields) {
    this.state = state;
    this.progress = undefined;
    Object.assign(this, fields);
  }

  get isRunning() {
    return this.state === "waiting" || this.state === "streaming";
  }
}

/** All items of one node in its latest run. */
class Answer {
  constructor(prompt) {
    this.prompt = prompt;
    this.items = [];
  }

  item(index) {
    return (this.items[index] ??= new Item());
  }

  /** The items there are; those of a list may begin in any order. */
  get present() {
    return this.items.filter(Boolean);
  }
}

/** The answers of every workflow of this page. */
export class Answers {
  // Beyond this the oldest go: a page may stay open for weeks.
  static CAPACITY = 500;

  constructor() {
    this.kept = new Map();
  }

  /** Takes a streamed message of a run. Returns the answer it belongs to. */
  apply(workflow, prompt, message) {
    const answer = this.#of(workflow, message.node, prompt);
    const index = (message.item ?? 0) * PARTS + (message.part ?? 0);
    const isNew = !answer.items[index];
    const item = answer.item(index);
    item.apply(message);
    if (isNew && !message.start) item.headless = true;
    return answer;
  }

  /** Takes what a node returned at the end of a run, live or from the history. */
  replace(workflow, prompt, node, results) {
    const answer = this.#of(workflow, node, prompt);
    const before = answer.items;
    answer.items = [];
    results.forEach((result, index) => {
      (result.parts ?? [result]).forEach((part, place) => {
        const at = index * PARTS + place;
        if (before[at]) answer.items[at] = before[at];
        answer.item(at).replace(part);
      });
    });
    return answer;
  }

  /** Marks what still streams in a run as stopped, because the run has ended. Returns the answers it changed. */
  stop(prompt) {
    const changed = [...this.kept.values()].filter(
      (answer) => answer.prompt === prompt && answer.present.some((item) => item.isRunning),
    );
    for (const answer of changed) {
      for (const item of answer.present) if (item.isRunning) item.finish("stopped", {});
    }
    return changed;
  }

  /** Tells whether a node of a workflow has answered. */
  has(workflow, node) {
    return this.kept.has(`${workflow}/${node}`);
  }

  /** Lists [node, answer] of a workflow. */
  of(workflow) {
    const prefix = `${workflow}/`;
    return [...this.kept]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, answer]) => [key.slice(prefix.length), answer]);
  }

  #of(workflow, node, prompt) {
    const key = `${workflow}/${node}`;
    let answer = this.kept.get(key);
    // The object stays the same from run to run, so that whoever shows it goes on showing it.
    if (!answer) {
      answer = new Answer(prompt);
      this.kept.set(key, answer);
      if (this.kept.size > Answers.CAPACITY) this.kept.delete(this.kept.keys().next().value);
    } else if (answer.prompt !== prompt) {
      answer.prompt = prompt;
      answer.items = [];
    }
    return answer;
  }
}
