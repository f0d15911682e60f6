/**
 * The pack's own routes of ComfyUI: which models, servers and styles there are, and "our JavaScript is here".
 *
 * An answer is { data }, or { problem } in words and what was { told } all the same; nothing is thrown, because a server
 * that is off is no fault of the page.
 */
import { api } from "../../scripts/api.js";
import { t } from "./strings.js";

// Nodes of one workflow ask at the same moment when it is loaded; they share one request a server.
const SHARED_MS = 1000;
const shared = new Map();

/** Asks which models a server has; `fresh` asks even where the answer has just come. */
export function askModels(server, { fresh = false } = {}) {
  return ask(`/xdev_llm/models?server=${encodeURIComponent(server)}`, fresh);
}

/** Asks which servers are configured or run on this machine. */
export function askServers({ fresh = false } = {}) {
  return ask("/xdev_llm/servers", fresh);
}

/** Asks for the styles of the library that fit the words, the best first. */
export function askStyles(words, { fresh = false } = {}) {
  return ask(`/xdev_llm/styles?search=${encodeURIComponent(words)}`, fresh);
}

/** Tells the server that this page shows answers by itself. */
export function sayHello(clientId) {
  return request("/xdev_llm/hello", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ client_id: clientId }),
  });
}

function ask(route, fresh) {
  const known = shared.get(route);
  if (known && !fresh) return known;
  const answer = request(route);
  shared.set(route, answer);
  setTimeout(() => shared.delete(route), SHARED_MS);
  return answer;
}

async function request(route, options) {
  try {
    const response = await api.fetchApi(route, options);
    const data = await response.json();
    if (response.ok) return { data };
    const { error, ...told } = data;
    return { problem: [error.message, error.hint].filter(Boolean).join("\n"), told };
  } catch (error) {
    return { problem: t("route_failed", { route: route.split("?")[0], reason: error.message }) };
  }
}
