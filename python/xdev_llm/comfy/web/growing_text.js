/**
 * Text that grows at its end.
 *
 * It is written as text nodes, never as HTML, and in blocks: an appended word lays out the last block only, so that
 * an answer of 100,000 characters stays as quick as one of a hundred.
 */

// A block ends at the first line end after so many characters.
const BLOCK = 2000;

export class GrowingText {
  constructor(className) {
    this.element = document.createElement("div");
    this.element.className = className;
    this.shown = "";
    // Blocks are separate boxes, between which the browser would copy line ends that are not in the text.
    this.element.addEventListener("copy", (event) => {
      event.clipboardData.setData("text/plain", String(getSelection().getRangeAt(0).cloneContents().textContent));
      event.preventDefault();
      event.stopPropagation();
    });
  }

  /** Shows a text; appends where it continues what is shown. */
  show(text) {
    if (text === this.shown) return;
    if (!text.startsWith(this.shown)) {
      this.element.replaceChildren();
      this.shown = "";
    }
    let rest = text.slice(this.shown.length);
    this.shown = text;
    while (rest) {
      const last = this.element.lastElementChild;
      const block = last && !last.isFull ? last : this.#addBlock();
      const length = block.textContent.length;
      const end = rest.indexOf("\n", Math.max(0, BLOCK - length));
      block.append(end < 0 ? rest : rest.slice(0, end + 1));
      block.isFull = end >= 0;
      rest = end < 0 ? "" : rest.slice(end + 1);
    }
  }

  #addBlock() {
    const block = this.element.appendChild(document.createElement("div"));
    block.dir = "auto";
    return block;
  }
}
