/**
 * What OutputDev says of values: facts, texts, trees that fold, histograms, pictures, differences.
 *
 * Drawn from the numbers and texts that the node sent; everything is set as text, and a picture only from data that says
 * it is one. Not here: when it is drawn (section.js).
 */
import { element } from "./made.js";
import { t } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 256;
const HEIGHT = 72;
const PICTURE = "data:image/jpeg;base64,";
// A collection in a tree is open at first when it is at the top, or when it has no more items than this.
const OPEN_ITEMS = 8;
const OPEN_DEPTH = 3;

/** Gives the elements that show an inspection. */
export function drawInspection({ values = [], compared = [], saved = [] }) {
  const children = [...compared.map(drawComparison), ...values.map(drawValue)];
  if (saved.length) {
    const list = element("ul", "xdev-llm-saved", ...saved.map((path) => element("li", "", path)));
    children.push(element("div", "xdev-llm-value", element("h5", "", t("saved")), list));
  }
  return children;
}

function drawValue({ name, headline, facts = [], problem, text, cut, tree, histogram, pictures = [] }) {
  const head = element("h5", "", element("span", "xdev-llm-key", name), ` ${headline ?? ""}`);
  const made = element("div", "xdev-llm-value", head);
  if (problem) made.append(element("p", "xdev-llm-warning", problem));
  const drawn = pictures.filter((url) => String(url).startsWith(PICTURE)).map(drawPicture);
  if (histogram) drawn.push(drawHistogram(histogram));
  if (drawn.length) made.append(element("div", "xdev-llm-graphics", ...drawn));
  if (tree) made.append(element("div", "xdev-llm-tree", drawEntry(tree, 0)));
  if (text !== undefined) {
    const shown = element("div", "", element("pre", "xdev-llm-report", text));
    if (cut) shown.append(element("p", "xdev-llm-muted", t("cut_text", { n: cut })));
    made.append(tree ? element("details", "", element("summary", "", t("as_text")), shown) : shown);
  }
  if (facts.length) made.append(drawFacts(facts));
  return made;
}

function drawFacts(facts) {
  const pairs = facts.map(([name, fact]) =>
    element("span", "", element("span", "xdev-llm-muted", `${t(`fact_${name}`)} `), String(fact)),
  );
  return element("p", "xdev-llm-facts", ...pairs);
}

function drawPicture(url) {
  const picture = element("img", "xdev-llm-picture");
  picture.alt = t("picture");
  picture.src = url;
  return picture;
}

/** Draws an entry of a tree; what is folded is made when it is first opened. */
function drawEntry({ key, kind, text, count, items, more }, depth) {
  const parts = key ? [element("span", "xdev-llm-key", key), ": "] : [];
  if (!items) {
    const words = kind === "cycle" ? t("cycle") : text;
    const leaf = element("span", "xdev-llm-leaf", words);
    leaf.dataset.kind = kind;
    return element("div", "xdev-llm-entry", ...parts, leaf);
  }
  const size = element("span", "xdev-llm-muted", `${kind} (${count})`);
  const made = element("details", "xdev-llm-entry", element("summary", "", ...parts, size));
  const fill = () => {
    if (made.childElementCount > 1) return;
    const children = items.map((inner) => drawEntry(inner, depth + 1));
    if (more) children.push(element("div", "xdev-llm-entry xdev-llm-muted", t("more", { n: more })));
    made.append(element("div", "xdev-llm-entries", ...children));
  };
  made.addEventListener("toggle", fill);
  if (depth === 0 || (depth < OPEN_DEPTH && count <= OPEN_ITEMS)) {
    fill();
    made.open = true;
  }
  return made;
}

/** Draws how often each range of numbers occurs; heights are square roots, so that a peak leaves the rest in sight. */
function drawHistogram({ low, high, channels }) {
  const highest = Math.sqrt(Math.max(1, ...channels.flatMap(({ counts }) => counts)));
  const svg = vector("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", t("histogram"));
  for (const { name, counts } of channels) {
    const step = WIDTH / counts.length;
    const tops = counts.map((count, index) => {
      const y = HEIGHT * (1 - Math.sqrt(count) / highest);
      return `L${index * step} ${y}L${(index + 1) * step} ${y}`;
    });
    const path = vector("path", { d: `M0 ${HEIGHT}${tops.join("")}L${WIDTH} ${HEIGHT}Z` });
    path.dataset.channel = name;
    svg.append(path);
  }
  const total = (side) => channels.reduce((sum, channel) => sum + (channel[side] ?? 0), 0);
  const [below, above] = [total("below"), total("above")];
  const ends = element("div", "xdev-llm-ends", element("span", "", shortNumber(low)), element("span", "", shortNumber(high)));
  const made = element("div", "xdev-llm-histogram", svg, ends);
  const outside = [below && t("below", { n: below, low: shortNumber(low) }), above && t("above", { n: above, high: shortNumber(high) })];
  const words = outside.filter(Boolean).join(" · ");
  if (words) made.append(element("p", "xdev-llm-warning", words));
  return made;
}

function shortNumber(value) {
  return String(Number(Number(value).toPrecision(4)));
}

function vector(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function drawComparison({ names, equal, told, by, diff = [] }) {
  const mark = equal ? "=" : equal === false ? "≠" : "?";
  const sign = element("span", "xdev-llm-mark", mark);
  sign.dataset.equal = String(equal);
  const head = element("h5", "", element("span", "xdev-llm-key", names[0]), " ", sign, " ", element("span", "xdev-llm-key", names[1]));
  const made = element("div", "xdev-llm-value", head, element("p", "", told));
  if (diff.length) made.append(by === "lines" ? drawLines(diff) : drawWords(diff));
  return made;
}

function drawWords(diff) {
  const spans = diff.map(([kind, text]) => part("span", kind, kind === "skipped" ? ` … ${text} … ` : text));
  return element("pre", "xdev-llm-report xdev-llm-diff", ...spans);
}

function drawLines(diff) {
  const marks = { same: "  ", gone: "- ", new: "+ ", skipped: "… " };
  const rows = diff.flatMap(([kind, text]) => text.split("\n").map((line) => part("div", kind, marks[kind] + line)));
  return element("pre", "xdev-llm-report xdev-llm-diff", ...rows);
}

/** Marks a part as gone or new also for those who do not see colours. */
function part(tag, kind, text) {
  const words = { gone: "del", new: "ins" };
  const made = element(tag === "span" ? (words[kind] ?? tag) : tag, "xdev-llm-part", text);
  made.dataset.kind = kind;
  return made;
}
