/**
 * Which workflow a run belongs to.
 *
 * ComfyUI's messages name the prompt and the node, and nodes of two tabs have the same numbers. The workflow's own id
 * is known when it is queued, and stands in the queue and the history after a reload of the page.
 */
import { api } from "../../scripts/api.js";
import { rootGraph } from "./nodes.js";

// How many past prompts are looked at to show answers again after a reload.
const HISTORY = 20;

const workflows = new Map();
const posting = [];

/** The prompt that runs at present. */
export let currentPrompt = null;

/** Gives the id of the workflow on the screen. */
export function shownWorkflow() {
  return rootGraph()?.id ?? "";
}

/** Gives the id of the workflow a prompt was queued from. */
export function workflowOf(prompt) {
  return workflows.get(prompt) ?? shownWorkflow();
}

/** Notes every prompt that this page queues, and which one runs. */
export function watchRuns() {
  const post = api.queuePrompt;
  api.queuePrompt = async function (number, data, ...rest) {
    const workflow = data?.workflow?.id;
    posting.push(workflow);
    try {
      const reply = await post.call(this, number, data, ...rest);
      workflows.set(reply.prompt_id, workflow);
      return reply;
    } finally {
      posting.splice(posting.indexOf(workflow), 1);
    }
  };
  api.addEventListener("execution_start", ({ detail }) => {
    currentPrompt = detail.prompt_id;
    // A run can start before the answer to its request has arrived.
    if (!workflows.has(currentPrompt)) workflows.set(currentPrompt, posting[0] ?? shownWorkflow());
  });
}

/** Reads what ran before this page was loaded: calls `found(workflow, prompt, node, results)`, latest first. */
export async function recallRuns(found) {
  const queue = await (await api.fetchApi("/queue")).json();
  for (const entry of [...queue.queue_running, ...queue.queue_pending]) note(entry);
  currentPrompt ??= queue.queue_running[0]?.[1] ?? null;
  const history = await (await api.fetchApi(`/history?max_items=${HISTORY}`)).json();
  const runs = Object.values(history).sort((a, b) => b.prompt[0] - a.prompt[0]);
  for (const { prompt, outputs } of runs) {
    note(prompt);
    for (const [node, output] of Object.entries(outputs)) {
      if (output.xdev_llm) found(workflows.get(prompt[1]), prompt[1], node, output.xdev_llm);
    }
  }
}

function note([, prompt, , extra]) {
  const workflow = extra?.extra_pnginfo?.workflow?.id;
  if (workflow) workflows.set(prompt, workflow);
}
