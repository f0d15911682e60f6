/**
 * The dropdown of servers found, for a STRING input with the marker "xdev_llm_servers".
 *
 * It stands in the panel and writes into the input, which stays a text field: any address may be typed, and an empty
 * one means the first server found.
 */
import { element } from "./made.js";
import { chain } from "./nodes.js";
import { askServers } from "./routes.js";
import { t } from "./strings.js";

export class ServerChoice {
  constructor(node, widget, panel) {
    this.node = node;
    this.widget = widget;
    this.panel = panel;
    this.servers = [];
    this.select = element("select", "xdev-llm-select");
    this.select.setAttribute("aria-label", t("other_server"));
    this.select.addEventListener("change", () => this.#choose(this.select.value));
    panel.addTool(this.select);
    widget.callback = chain(widget.callback, () => this.#fill());
    node.onConfigure = chain(node.onConfigure, () => this.#fill());
    this.#fill();
    this.refresh();
  }

  /** Looks for servers again. */
  async refresh({ fresh = false } = {}) {
    const { data, problem } = await askServers({ fresh });
    this.servers = data?.servers ?? [];
    this.#fill();
    this.panel.showHead({ problem, note: problem || this.servers.length ? "" : t("no_servers") });
  }

  close() {}

  ranOn() {}

  #fill() {
    const options = new Map([["", t("first_found")]]);
    for (const { name, url, kind } of this.servers) {
      options.set(name ?? url, [name, kind, url].filter(Boolean).join(" · "));
    }
    const { value } = this.widget;
    if (!options.has(value)) options.set(value, value);
    this.select.replaceChildren(...[...options].map(([address, words]) => new Option(words, address)));
    this.select.value = value;
  }

  #choose(address) {
    this.widget.value = address;
    this.widget.callback?.(address);
    this.node.setDirtyCanvas?.(true, true);
  }
}
