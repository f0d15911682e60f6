/**
 * The extension: gives every XDEV_ node its panel and dropdowns, and brings the run's messages to them.
 *
 * Nodes are known by markers in their definitions, not by name. What is shown lives in answers.js, how in panel.js.
 */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { Answers } from "./answers.js";
import { MODEL_WIDGET, ModelDropdown, makeModelWidget } from "./model_dropdown.js";
import { chain, nodeOfRun, widgetNamed } from "./nodes.js";
import { Panel } from "./panel.js";
import { sayHello } from "./routes.js";
import { currentPrompt, recallRuns, shownWorkflow, watchRuns, workflowOf } from "./runs.js";
import { followPreset, followSampling } from "./sampling.js";
import { ServerChoice } from "./server_choice.js";
import { t } from "./strings.js";
import { BROWSER_HEIGHT, StyleBrowser } from "./style_browser.js";

const PREFIX = "XDEV_";
const PANEL_WIDGET = "xdev_llm_panel";
// In canvas units, as all sizes of nodes.
const PANEL_HEIGHT = 230;
// Of a node without outputs, which is there to be looked at.
const DISPLAY_HEIGHT = 400;
const NODE_WIDTH = 420;
// What a field of several lines grows to when the node is made taller; the rest goes to the prompt and the answer.
const FIELD_HEIGHT = 60;

const answers = new Answers();
const attached = new WeakMap();
let greeted = null;
let hasNodes = false;
let recalled = null;

/** Lists [name, options] of all inputs in a node definition. */
function inputsOf(nodeData) {
  const { required = {}, optional = {} } = nodeData?.input ?? {};
  return Object.entries({ ...required, ...optional }).map(([name, spec]) => [name, spec[1] ?? {}]);
}

/** Adds panel, dropdowns and presets to a new node. */
function attach(node) {
  const inputs = inputsOf(node.constructor.nodeData);
  const marked = (marker) => inputs.find(([, options]) => options[marker]);
  const models = marked("xdev_llm_models");
  const servers = marked("xdev_llm_servers");
  const styles = marked("xdev_llm_styles");
  let choice = null;
  const label = t(servers ? "refresh_servers" : styles ? "refresh_styles" : "refresh");
  const refresh = (models || servers || styles) && { label, act: () => choice.refresh({ fresh: true }) };
  const panel = new Panel({ title: node.title, refresh });
  if (models) choice = new ModelDropdown(node, widgetNamed(node, models[0]), models[1].xdev_llm_models, panel);
  if (styles) choice = new StyleBrowser(node, widgetNamed(node, styles[0]), panel);
  if (servers) choice = new ServerChoice(node, widgetNamed(node, servers[0]), panel);
  for (const [name, { xdev_llm_presets: presets }] of inputs) {
    if (presets) followPreset(node, widgetNamed(node, name), presets);
  }
  followSampling(node);

  const height = node.outputs?.length ? PANEL_HEIGHT : DISPLAY_HEIGHT;
  addPanelWidget(node, panel, height + (styles ? BROWSER_HEIGHT : 0));
  attached.set(node, { panel, choice });
  hasNodes = true;
  node.onRemoved = chain(node.onRemoved, () => {
    panel.close();
    choice?.close();
  });
}

/** Puts the panel below all widgets; it is saved neither in the workflow nor in the prompt. */
function addPanelWidget(node, panel, height) {
  const [, ...fields] = (node.widgets ?? []).filter((widget) => widget.element);
  for (const field of fields) field.options.getMaxHeight = () => FIELD_HEIGHT;
  const widget = node.addDOMWidget(PANEL_WIDGET, PANEL_WIDGET, panel.element, {
    serialize: false,
    // The side panel of newer front ends would take the element away from the node.
    hideInPanel: true,
    getMinHeight: () => height,
  });
  widget.serialize = false;
  panel.element.style.minHeight = `${height - 2 * widget.margin}px`;
  const size = node.computeSize();
  node.setSize([Math.max(size[0], NODE_WIDTH), size[1]]);
}

/** Shows an answer in its node, where that is on the screen. */
function present(workflow, id, answer) {
  if (workflow !== shownWorkflow()) return;
  const there = attached.get(nodeOfRun(id));
  if (!there) return;
  there.panel.show(answer);
  const latest = answer.present.findLast((item) => item.server || item.model);
  if (!latest) return;
  // Where models are compared, each has its name above its answer.
  there.panel.showRun(latest.title ? { server: latest.server } : latest);
  there.choice?.ranOn(latest.server);
}

/** Takes a message of the stream. */
function onMessage({ detail }) {
  const workflow = workflowOf(currentPrompt);
  const answer = answers.apply(workflow, currentPrompt, detail);
  present(workflow, detail.node, answer);
}

/** Takes what a node returned, which ComfyUI also sends for nodes it did not run again. */
function onExecuted({ detail }) {
  const results = detail.output?.xdev_llm;
  if (!results) return;
  const id = detail.display_node ?? detail.node;
  const workflow = workflowOf(detail.prompt_id);
  present(workflow, id, answers.replace(workflow, detail.prompt_id, id, results));
}

/** Ends what still streams when the run has ended without a word about it. */
function onRunEnded({ detail }) {
  answers.stop(detail.prompt_id);
  presentAll();
}

function presentAll() {
  const workflow = shownWorkflow();
  for (const [id, answer] of answers.of(workflow)) present(workflow, id, answer);
}

/** Fills in what was answered before this page was loaded; the panels work without it. */
async function recall() {
  try {
    await recallRuns((workflow, prompt, id, results) => {
      if (!answers.has(workflow, id)) answers.replace(workflow, prompt, id, results);
    });
  } catch (error) {
    console.warn(`XDev LLM: earlier answers cannot be shown: ${error.message}`);
  }
}

async function greet() {
  if (!api.clientId || api.clientId === greeted) return;
  greeted = api.clientId;
  const { problem } = await sayHello(greeted);
  if (!problem) return;
  console.warn(`XDev LLM: ${problem}`);
  greeted = null;
}

function loadStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./panel.css", import.meta.url).href;
  document.head.append(link);
}

app.registerExtension({
  name: "XDev.LLM",

  init() {
    loadStyle();
    watchRuns();
    api.addEventListener("xdev_llm", onMessage);
    api.addEventListener("executed", onExecuted);
    api.addEventListener("execution_interrupted", onRunEnded);
    api.addEventListener("execution_error", onRunEnded);
    api.addEventListener("status", greet);
    api.addEventListener("reconnected", () => {
      greeted = null;
      greet();
    });
  },

  // The id may be known before the first status.
  setup: greet,

  getCustomWidgets: () => ({ [MODEL_WIDGET]: makeModelWidget }),

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith(PREFIX)) return;
    for (const [, options] of inputsOf(nodeData)) {
      if (options.xdev_llm_models) options.widgetType = MODEL_WIDGET;
    }
  },

  nodeCreated(node) {
    if (node.comfyClass?.startsWith(PREFIX)) attach(node);
  },

  async afterConfigureGraph() {
    presentAll();
    if (!hasNodes) return;
    recalled ??= recall();
    await recalled;
    presentAll();
  },
});
