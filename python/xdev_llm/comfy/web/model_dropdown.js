/**
 * The dropdown of models, and the server behind it.
 *
 * A STRING input with the marker "xdev_llm_models" is drawn as a combo. Its list is the user's aliases and what the server
 * has at present; its value is the user's, whether listed or not, and is never changed by a list that arrives.
 */
import { app } from "../../scripts/app.js";
import { askModels } from "./routes.js";
import { t } from "./strings.js";
import { chain, isLinked, widgetNamed } from "./nodes.js";

/** The widget type that a marked input asks the front end for. */
export const MODEL_WIDGET = "XDEV_LLM_MODEL";

const NOT_FOR_CHAT = ["embedding", "rerank"];

// A server's address is typed letter by letter.
const SETTLE_MS = 400;

/** Makes the combo in place of the text field; the front end calls it while it builds the node. */
export function makeModelWidget(node, name, [, options]) {
  const value = options.default ?? "auto";
  return { widget: node.addWidget("combo", name, value, () => {}, { values: [value] }) };
}

/** Keeps the dropdown of one node filled, and tells the panel's head what the server said. */
export class ModelDropdown {
  constructor(node, widget, serverWidgetName, panel) {
    this.node = node;
    this.widget = widget;
    this.serverName = serverWidgetName;
    this.panel = panel;
    this.lastServer = null;
    this.reply = null;
    this.asked = 0;
    this.value = widget.value;
    this.#fill();

    widget.callback = chain(widget.callback, (value) => this.#chosen(value));
    const server = widgetNamed(node, serverWidgetName);
    if (server) server.callback = chain(server.callback, () => this.refreshSoon());
    node.onConfigure = chain(node.onConfigure, () => this.#configured());
    node.onConnectionsChange = chain(node.onConnectionsChange, () => this.refreshSoon());
    this.refreshSoon();
  }

  /** Remembers the server of a run: the only way to know it where it comes over a link. */
  ranOn(server) {
    if (server?.url && server.url !== this.lastServer) {
      this.lastServer = server.url;
      if (this.#server() === null) this.refreshSoon();
    }
  }

  refreshSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), SETTLE_MS);
  }

  /** Asks the server for its models and shows them. */
  async refresh({ fresh = false } = {}) {
    clearTimeout(this.timer);
    const server = this.#server() ?? this.lastServer;
    if (server === null) return this.panel.showHead({ note: t("linked_server") });
    const asked = ++this.asked;
    const reply = await askModels(server, { fresh });
    if (asked !== this.asked) return;
    this.reply = reply;
    this.#fill();
    this.#describe();
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
  }

  /** The address in the server widget, or that of the node linked to it; null where it is only known in a run. */
  #server() {
    if (!isLinked(this.node, this.serverName)) return String(widgetNamed(this.node, this.serverName)?.value ?? "");
    const slot = this.node.inputs.findIndex((input) => input.name === this.serverName);
    const widgets = (this.node.getInputNode(slot)?.widgets ?? []).filter((widget) => widget.serialize !== false);
    const [only] = widgets;
    return widgets.length === 1 && typeof only.value === "string" ? only.value : null;
  }

  #aliases() {
    return (this.reply?.data ?? this.reply?.told)?.aliases ?? [];
  }

  #fill() {
    const models = [...(this.reply?.data?.models ?? [])];
    // What is loaded answers at once, so it stands first.
    const order = { loaded: 0, loading: 1 };
    const names = models
      .filter(({ kind }) => !NOT_FOR_CHAT.includes(kind))
      .sort((a, b) => (order[a.state] ?? 2) - (order[b.state] ?? 2))
      .map(({ id }) => id);
    const aliases = this.#aliases().map(({ name }) => name);
    this.widget.options.values = [...new Set(["auto", ...aliases, ...names, this.value]), t("other")];
    this.node.setDirtyCanvas?.(true, true);
  }

  #configured() {
    this.value = this.widget.value;
    this.#fill();
    this.refreshSoon();
  }

  async #chosen(value) {
    if (value !== t("other")) {
      this.value = value;
      return this.#describe();
    }
    this.widget.value = this.value;
    const message = t("other_model");
    const title = t("other_title");
    const typed = await app.extensionManager.dialog.prompt({ title, message, defaultValue: this.value });
    if (!typed?.trim()) return;
    this.value = typed.trim();
    this.widget.value = this.value;
    this.#fill();
    this.#describe();
  }

  #describe() {
    if (!this.reply) return;
    const { data, problem } = this.reply;
    const alias = this.#aliases().find(({ name }) => name === this.value);
    if (alias) {
      const routes = alias.routes.map(({ server, model }) => `${model ?? "auto"}${server ? ` (${server})` : ""}`);
      const note = t("alias", { routes: routes.join(" → ") });
      return this.panel.showHead({ model: this.value, note });
    }
    if (problem) return this.panel.showHead({ model: this.value, problem });
    const chosen = data.models.find(({ id }) => id === this.value);
    const loaded = data.models.filter(({ state }) => state === "loaded").map(({ id }) => id);
    let note = "";
    if (this.value === "auto") {
      if (!data.auto) note = t("auto_nothing");
    } else {
      if (!chosen) note = t("unlisted");
      else if (chosen.state !== "unknown") note = t(chosen.state);
      const models = loaded.join(", ");
      if (chosen?.state !== "loaded" && models) note += ` · ${t("loaded_models", { models })}`;
    }
    note = [note, ...(data.notes ?? [])].filter(Boolean).join(" · ");
    const model = this.value === "auto" && data.auto ? t("auto", { model: data.auto }) : this.value;
    this.panel.showHead({ model, server: data.server, note });
  }
}
