/**
 * The list of styles in the node, for a COMBO with the marker "xdev_llm_styles": a search field, and a click chooses.
 *
 * What it shows comes from the user's files and is only ever set as text. The widget keeps the value; the list is not
 * saved. Not here: what fits a search best (the engine, by its route).
 */
import { element } from "./made.js";
import { chain } from "./nodes.js";
import { askStyles } from "./routes.js";
import { t } from "./strings.js";

/** How much taller the panel is with the list, in canvas units. */
export const BROWSER_HEIGHT = 210;

// A word is typed letter by letter.
const SETTLE_MS = 150;
// More are found by a word, not by scrolling.
const MOST_SHOWN = 300;

export class StyleBrowser {
  constructor(node, widget, panel) {
    this.node = node;
    this.widget = widget;
    this.panel = panel;
    this.asked = 0;
    this.search = element("input", "xdev-llm-search");
    this.search.type = "search";
    this.search.placeholder = t("search_styles");
    this.search.setAttribute("aria-label", t("search_styles"));
    this.list = element("ul", "xdev-llm-styles");
    this.list.setAttribute("aria-label", t("styles"));
    panel.addTool(this.search);
    panel.addAbove(this.list);
    this.#listen();
    this.refresh();
  }

  /** Asks for the styles that fit the words, and shows them. */
  async refresh({ fresh = false } = {}) {
    clearTimeout(this.timer);
    const asked = ++this.asked;
    const { data, problem } = await askStyles(this.search.value, { fresh });
    if (asked !== this.asked) return;
    this.panel.showHead({ problem, note: (data?.notes ?? []).join("\n") });
    if (data) this.#fill(data.styles);
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
  }

  ranOn() {}

  #fill(styles) {
    const items = styles.slice(0, MOST_SHOWN).map((style) => this.#item(style));
    const left = styles.length - items.length;
    const word = left ? t("more_styles", { n: left }) : styles.length ? "" : t("no_styles");
    if (word) items.push(element("li", "xdev-llm-note", word));
    this.list.replaceChildren(...items);
    this.list.scrollTop = 0;
    this.#mark();
  }

  #item({ name, prompt, negative_prompt: negative }) {
    const button = element("button", "xdev-llm-style", element("strong", "", name), element("span", "", prompt));
    if (negative) button.append(element("span", "xdev-llm-negative", `− ${negative}`));
    button.type = "button";
    button.dataset.name = name;
    button.addEventListener("click", () => this.#choose(name));
    return element("li", "", button);
  }

  #choose(name) {
    const { values } = this.widget.options;
    // A file may have come since the node was made.
    if (Array.isArray(values) && !values.includes(name)) values.push(name);
    this.widget.value = name;
    this.widget.callback?.(name);
    this.node.setDirtyCanvas?.(true, true);
  }

  /** Shows which style is chosen. */
  #mark() {
    for (const button of this.list.querySelectorAll("button")) {
      const isChosen = button.dataset.name === this.widget.value;
      button.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) this.#reveal(button);
    }
  }

  /** Scrolls the list alone: scrollIntoView would move the canvas, too. */
  #reveal(button) {
    const top = button.offsetTop - this.list.offsetTop;
    const isInSight = top >= this.list.scrollTop && top + button.offsetHeight <= this.list.scrollTop + this.list.clientHeight;
    if (!isInSight) this.list.scrollTop = top - 40;
  }

  #listen() {
    this.widget.callback = chain(this.widget.callback, () => this.#mark());
    this.node.onConfigure = chain(this.node.onConfigure, () => this.#mark());
    this.search.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), SETTLE_MS);
    });
    this.search.addEventListener("keydown", (event) => {
      // What is typed here is no shortcut of the canvas.
      event.stopPropagation();
      if (event.key === "Enter") this.list.querySelector("button")?.click();
    });
    this.list.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.list.scrollHeight > this.list.clientHeight) event.stopPropagation();
    });
  }
}
