/**
 * The two small functions that make elements; text is set as text, never as HTML.
 */

/** Makes an element with a class and children. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** Makes a button that shows an icon of panel.css and is named for those who do not see it. */
export function iconButton(icon, label, act) {
  const button = element("button", "xdev-llm-button", element("i", `xdev-llm-icon xdev-llm-icon-${icon}`));
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}
