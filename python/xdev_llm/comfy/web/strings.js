/**
 * The words of the panel and the dropdowns, in English and Chinese.
 *
 * One table, chosen by ComfyUI's language setting each time a word is needed. Not here: names of nodes and
 * inputs (locales/), and sentences of servers, which are shown as they came.
 */
import { app } from "../../scripts/app.js";

const TABLE = {
  en: {
    panel: "Answer of {title}",
    empty: "Press Run; the result appears here.",
    waiting: "Waiting for the first word",
    loading_model: "Loading the model",
    reading_prompt: "Reading the prompt",
    stopped: "Stopped.",
    error: "Failed",
    headless: "The beginning came before this page was loaded; the whole answer follows at the end.",
    reasoning: "Reasoning",
    characters: "{n} characters",
    item: "{index} of {count}",
    copy: "Copy the answer",
    copied: "Copied",
    refresh: "Ask the server for its models again",
    refresh_servers: "Look for servers again",
    tokens_per_second: "{n} tokens/s",
    time_to_first_token: "first token {n} s",
    output_tokens: "{n} tokens",
    cut: "cut off at max_tokens",
    finish_reason: "ended by: {reason}",
    auto: "auto → {model}",
    auto_nothing: "auto: no model is loaded",
    loaded: "loaded",
    loading: "loading",
    not_loaded: "loads at the first prompt",
    unlisted: "not in this server’s list",
    loaded_models: "Loaded: {models}",
    linked_server: "The server comes from another node; its models are listed once it has answered.",
    no_servers: "No model server found on this machine.",
    route_failed: "ComfyUI did not answer the request for {route}: {reason}",
    other: "Another …",
    other_title: "Another model",
    other_model: "Name of the model, as the server calls it",
    other_server: "Address of the server, or its name in your configuration",
    first_found: "(first found)",
    user: "user",
    assistant: "assistant",
    system: "system",
    tool: "tool",
  },
  zh: {
    panel: "{title} 的回答",
    empty: "点击“运行”，结果将显示在这里。",
    waiting: "等待第一个词",
    loading_model: "正在加载模型",
    reading_prompt: "正在读取提示词",
    stopped: "已停止。",
    error: "失败",
    headless: "页面加载之前的内容未显示；完整回答将在结束时给出。",
    reasoning: "思考过程",
    characters: "{n} 个字符",
    item: "第 {index} 项，共 {count} 项",
    copy: "复制回答",
    copied: "已复制",
    refresh: "重新获取模型列表",
    refresh_servers: "重新查找服务器",
    tokens_per_second: "{n} 词元/秒",
    time_to_first_token: "首词 {n} 秒",
    output_tokens: "{n} 词元",
    cut: "达到 max_tokens，回答被截断",
    finish_reason: "结束原因：{reason}",
    auto: "auto → {model}",
    auto_nothing: "auto：没有已加载的模型",
    loaded: "已加载",
    loading: "加载中",
    not_loaded: "首次提问时加载",
    unlisted: "不在此服务器的列表中",
    loaded_models: "已加载：{models}",
    linked_server: "服务器由其他节点提供；得到回答后会列出其模型。",
    no_servers: "本机上没有找到模型服务器。",
    route_failed: "ComfyUI 没有响应对 {route} 的请求：{reason}",
    other: "其他……",
    other_title: "其他模型",
    other_model: "模型名称（与服务器上的名称一致）",
    other_server: "服务器地址，或配置中的名称",
    first_found: "（第一个找到的）",
    user: "用户",
    assistant: "助手",
    system: "系统",
    tool: "工具",
  },
};

/** Gives the words for a key in ComfyUI's language, with {names} filled in; a key without words stands for itself. */
export function t(key, values = {}) {
  const locale = String(app.ui.settings.getSettingValue("Comfy.Locale") ?? "en");
  const table = locale.startsWith("zh") ? TABLE.zh : TABLE.en;
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
