/**
 * One answer, report, chat or inspection inside the panel, with its state line and its figures.
 *
 * Everything is set with textContent.
 */
import { GrowingText } from "./growing_text.js";
import { drawInspection } from "./inspection.js";
import { element, iconButton } from "./made.js";
import { t } from "./strings.js";

export class Section {
  constructor() {
    this.item = null;
    this.title = element("h4", "xdev-llm-title");
    this.detected = element("p", "xdev-llm-note");
    this.headless = element("p", "xdev-llm-note");

    this.reasoningLength = element("span", "xdev-llm-muted");
    this.reasoning = new GrowingText("xdev-llm-text");
    this.summary = element("summary", "", t("reasoning"), this.reasoningLength);
    this.details = element("details", "xdev-llm-reasoning", this.summary, this.reasoning.element);

    this.text = new GrowingText("xdev-llm-text");
    this.other = element("div", "xdev-llm-other");
    this.status = element("p", "xdev-llm-status");
    this.status.setAttribute("role", "status");
    this.bar = element("div", "xdev-llm-bar", element("div", ""));
    this.remarks = element("ul", "xdev-llm-remarks");
    this.figures = element("span", "xdev-llm-figures");
    this.copy = iconButton("copy", t("copy"), () => this.#copy());
    this.foot = element("footer", "xdev-llm-foot", this.figures, this.copy);
    this.element = element("article", "xdev-llm-section", this.title, this.detected, this.headless, this.details,
      this.text.element, this.other, this.status, this.bar, this.remarks, this.foot);
  }

  /** Shows an item as it is now. */
  show(item, index, count) {
    setText(this.title, item.title ?? (count > 1 ? t("item", { index: index + 1, count }) : ""));
    this.detected.textContent = item.detected ?? "";
    this.headless.textContent = item.headless && item.isRunning ? t("headless") : "";
    this.details.hidden = !item.reasoning;
    setText(this.reasoningLength, ` · ${t("characters", { n: item.reasoning.length })}`);
    this.reasoning.show(item.reasoning);
    this.text.show(item.text);
    if (this.item !== item || this.shown !== otherOf(item)) this.#showOther(item);
    this.item = item;
    this.#showState(item, index);
    this.#showFigures(item);
  }

  /** A report is shown as it is laid out, a chat as bubbles. */
  #showOther(item) {
    this.shown = otherOf(item);
    const children = item.inspection ? drawInspection(item.inspection) : [];
    if (item.report !== undefined) children.push(element("pre", "xdev-llm-report", item.report));
    for (const { role, content } of item.chat ?? []) {
      const bubble = element("div", "xdev-llm-bubble", element("span", "xdev-llm-role", t(role)), content);
      bubble.dataset.role = role;
      children.push(bubble);
    }
    this.other.replaceChildren(...children);
  }

  #showState(item, index) {
    const { phase, value } = item.progress ?? {};
    const percent = typeof value === "number" ? ` ${Math.round(value * 100)} %` : "";
    let words = "";
    if (phase) words = t(phase) + percent;
    else if (item.state === "waiting") words = t(item.queued ? "queued" : "waiting");
    else if (item.state === "stopped") words = t("stopped");
    else if (item.state === "error") words = `${t("error")}: ${item.error}`;
    setText(this.status, words);
    this.element.dataset.state = item.state;
    // What waits for its turn must not push what is written out of sight.
    this.element.hidden = Boolean(item.queued && item.isRunning && !phase && index > 0);
    this.element.setAttribute("aria-busy", String(item.isRunning));
    this.bar.hidden = !(phase && percent);
    this.bar.firstChild.style.width = `${(value ?? 0) * 100}%`;
  }

  #showFigures(item) {
    const { done = {} } = item;
    const about = done.estimated ? "≈ " : "";
    const figures = [];
    if (done.tokens_per_second) figures.push(about + t("tokens_per_second", { n: done.tokens_per_second.toFixed(1) }));
    if (done.time_to_first_token != null) {
      figures.push(t("time_to_first_token", { n: done.time_to_first_token.toFixed(2) }));
    }
    if (done.output_tokens != null) figures.push(about + t("output_tokens", { n: done.output_tokens }));
    setText(this.figures, figures.join(" · "));

    const reason = done.finish_reason ?? "stop";
    const warnings = [...(done.warnings ?? [])];
    if (reason === "length") warnings.unshift(t("cut"));
    else if (reason !== "stop") warnings.unshift(t("finish_reason", { reason }));
    // Which server was taken instead stands above the answer already.
    const notes = (done.notes ?? []).filter((text) => !item.detected?.includes(text));
    const remarks = [...warnings.map((text) => ["warning", text]), ...notes.map((text) => ["note", text])];
    if (this.remarks.childElementCount !== remarks.length || this.remarksOf !== item.done) {
      this.remarksOf = item.done;
      this.remarks.replaceChildren(...remarks.map(([kind, text]) => element("li", `xdev-llm-${kind}`, text)));
    }
    this.copy.hidden = !this.#copyable(item);
    this.foot.hidden = !figures.length && this.copy.hidden;
  }

  #copyable(item) {
    return item.text || item.report || item.inspection?.summary || (item.chat ?? []).map(({ role, content }) => `${role}: ${content}`).join("\n\n");
  }

  async #copy() {
    await writeClipboard(this.#copyable(this.item));
    this.copy.classList.add("xdev-llm-did");
    this.copy.setAttribute("aria-label", t("copied"));
    setTimeout(() => {
      this.copy.classList.remove("xdev-llm-did");
      this.copy.setAttribute("aria-label", t("copy"));
    }, 1200);
  }
}

/** Gives what an item shows besides text. */
function otherOf(item) {
  return item.inspection ?? item.chat ?? item.report;
}

/** Sets a text only where it differs: a live region is read out at every change. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Writes to the clipboard, also on pages served without TLS, where browsers have no navigator.clipboard. */
async function writeClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(document.createElement("textarea"));
  area.value = text;
  area.select();
  document.execCommand("copy");
  area.remove();
}
