/**
 * Small questions about ComfyUI's nodes that several files ask.
 */
import { app } from "../../scripts/app.js";

/** Gives a function that calls the old one, if any, and then the new one with the same arguments. */
export function chain(before, after) {
  return function (...values) {
    const result = before?.apply(this, values);
    after.apply(this, values);
    return result;
  };
}

/** Finds a node's widget by its input's name. */
export function widgetNamed(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/** Tells whether another node feeds an input. */
export function isLinked(node, name) {
  return node.inputs?.some((input) => input.name === name && input.link != null) ?? false;
}

/** Gives the graph at the top, whatever subgraph is open. */
export function rootGraph() {
  return app.rootGraph ?? app.graph;
}

/** Finds the node that a run calls by this id: "5", or "5:3" for node 3 in subgraph node 5. */
export function nodeOfRun(id) {
  let graph = rootGraph();
  let node;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById(part);
    graph = node?.subgraph;
  }
  return node;
}
