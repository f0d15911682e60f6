/**
 * Presets that write their numbers, and widgets that a connected sampling node overrides.
 */
import { chain, isLinked, widgetNamed } from "./nodes.js";

// The fields a value of this type always carries, hence the widgets that mean nothing while it is connected.
const SAMPLING_TYPE = "XDEV_LLM_SAMPLING";
const SAMPLING_FIELDS = ["preset", "temperature", "max_tokens", "top_p", "top_k", "min_p"];

/** Makes the choice of a preset fill in its numbers. A loaded workflow keeps its own: loading is no choice. */
export function followPreset(node, widget, presets) {
  widget.callback = chain(widget.callback, (name) => {
    for (const [field, value] of Object.entries(presets[name] ?? {})) {
      const target = widgetNamed(node, field);
      if (!target) continue;
      target.value = Array.isArray(value) ? value.join("\n") : value;
      target.callback?.(target.value);
    }
    node.setDirtyCanvas?.(true, true);
  });
}

/** Shows the overridden widgets as disabled for as long as a sampling node is connected. */
export function followSampling(node) {
  const socket = node.inputs?.find((input) => input.type === SAMPLING_TYPE);
  if (!socket) return;
  const update = () => {
    const isOverridden = isLinked(node, socket.name);
    for (const field of SAMPLING_FIELDS) {
      const widget = widgetNamed(node, field);
      if (widget) widget.disabled = isOverridden;
    }
    node.setDirtyCanvas?.(true, true);
  };
  node.onConnectionsChange = chain(node.onConnectionsChange, update);
  node.onConfigure = chain(node.onConfigure, update);
}
