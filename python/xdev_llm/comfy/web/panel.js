/**
 * The panel at the foot of every node: who answers, the answer as it is written, and its figures.
 *
 * What comes from a model or a server is only ever set as text. The panel knows nothing of nodes and events; it shows
 * an Answer (answers.js), at most once a frame however often it changes.
 */
import { element, iconButton } from "./made.js";
import { Section } from "./section.js";
import { t } from "./strings.js";

// Whoever is this close to the end, in pixels, follows the text.
const NEAR_END = 12;

const SCROLL_KEYS = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "];

export class Panel {
  /** @param {{title: string, refresh?: {label: string, act: () => void}}} options */
  constructor({ title, refresh }) {
    this.answer = null;
    this.sections = [];
    this.follows = true;
    this.frame = 0;

    this.element = element("section", "xdev-llm");
    this.element.setAttribute("aria-label", t("panel", { title }));
    // The front end with nodes drawn in HTML would otherwise zoom the canvas.
    this.element.dataset.captureWheel = "true";

    this.dot = element("span", "xdev-llm-dot");
    this.model = element("strong", "xdev-llm-model");
    this.server = element("span", "xdev-llm-server");
    this.head = element("header", "xdev-llm-head", this.dot, this.model, this.server);
    if (refresh) this.head.append(iconButton("refresh", refresh.label, refresh.act));
    this.note = element("p", "xdev-llm-note");
    this.problem = element("p", "xdev-llm-problem");
    this.problem.setAttribute("role", "status");

    this.hint = element("p", "xdev-llm-hint");
    this.hint.textContent = t("empty");
    this.body = element("div", "xdev-llm-body", this.hint);
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "log");
    this.body.setAttribute("aria-live", "off");
    this.element.append(this.head, this.note, this.problem, this.body);
    this.#listen();
  }

  /** Shows what is known of the server before or during a run; a missing field empties its place. */
  showHead({ model = "", server = null, note = "", problem = "" }) {
    this.model.textContent = model;
    this.#showServer(server ?? {});
    this.note.textContent = note;
    this.problem.textContent = problem;
  }

  /** Shows who answers in a run; what the run does not tell stays. */
  showRun({ model, server }) {
    if (model) this.model.textContent = model;
    if (server) this.#showServer(server);
    if (model || server) this.note.textContent = this.problem.textContent = "";
  }

  /** Puts a control into the head, in place of the names. */
  addTool(tool) {
    this.dot.after(tool);
  }

  /** Shows an answer from now on. */
  show(answer) {
    this.answer = answer;
    this.changed();
  }

  /** Draws what changed with the next frame. */
  changed() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  /** Ends what is still to come; the node is gone. */
  close() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  #showServer(server) {
    this.server.textContent = describeServer(server);
    this.server.title = server.url ?? "";
  }

  #draw() {
    const items = this.answer?.present ?? [];
    this.hint.hidden = items.length > 0;
    while (this.sections.length > items.length) this.sections.pop().element.remove();
    items.forEach((item, index) => {
      if (!this.sections[index]) {
        const section = new Section();
        this.sections.push(section);
        this.body.append(section.element);
        this.follows = true;
      }
      this.sections[index].show(item, index, items.length);
    });
    const running = items.find((item) => item.isRunning);
    const failed = items.find((item) => item.state === "error");
    this.dot.dataset.state = running ? "running" : failed ? "error" : (items[0]?.state ?? "idle");
    const isAtEnd = running || items.some((item) => item.chat);
    if (isAtEnd && this.follows) this.body.scrollTop = this.body.scrollHeight;
  }

  #listen() {
    this.body.addEventListener("scroll", () => {
      this.follows = this.body.scrollHeight - this.body.clientHeight - this.body.scrollTop < NEAR_END;
    });
    this.element.addEventListener("keydown", (event) => {
      if (SCROLL_KEYS.includes(event.key)) event.stopPropagation();
    });
    // Scrolling to an end of the text must not go on as a zoom of the canvas.
    this.element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.body.scrollHeight > this.body.clientHeight) event.stopPropagation();
    });
  }
}

function describeServer({ url, kind, name, version }) {
  const product = [name || kind, version].filter(Boolean).join(" ");
  return [product, url?.replace(/^https?:\/\//, "")].filter(Boolean).join(" · ");
}
