// The messages of a chat as a person sees them: one Bubble per message, updated in place while it grows.

import { cardView } from "./cards.js";
import { el, icon, iconButton } from "./dom.js";
import { address } from "./line.js";
import { show } from "./markdown.js";
import { clock, size, t } from "./words.js";

const MARKDOWN = new Set(["stream", "markdown"]);

/** A colour class for a name, the same for the same name. */
export function tint(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) >>> 0;
  return `tint-${sum % 8}`;
}

/** A square with the last two characters of a Chinese name, or the first letter of another. */
export function avatar(name, kind = "") {
  if (kind) return el("span", { class: `avatar ${kind}`, "aria-hidden": "true" }, icon(kind === "group" ? "group" : "bot"));
  const letters = /[\u3400-\u9fff]/.test(name) ? [...name].slice(-2).join("") : ([...name][0] ?? "?").toUpperCase();
  return el("span", { class: `avatar ${tint(name)}`, "aria-hidden": "true" }, letters);
}

/** What a message says in one line, for the list of chats and for quotes. */
export function snippet(message) {
  const kinds = { image: "image", file: "file", video: "video", voice: "voiceKind", mixed: "mixed", template_card: "card" };
  const text = message.sender === "bot" ? message.text.replace(/[*`#|>]+|^\s*[-+] |-{3,}/gm, "") : message.text;
  const words = text.trim() || message.card?.main_title?.title || "";
  if (!words && !message.finished) return `${t("thinking")}…`;
  const kind = kinds[message.kind];
  const name = message.media[0]?.name ?? "";
  const label = kind ? `[${t(kind)}] ` : "";
  return (label + (words || (message.kind === "image" ? "" : name))).replace(/\s+/g, " ").slice(0, 120);
}

export class Bubble {
  /**
   * `chat` has botName(), viewer(), undelivered(message) -> why or "", onQuote(message), onFeedback(message, type),
   * onDislike(message) and onClick(message, key, selected).
   */
  constructor(message, chat) {
    this.chat = chat;
    this.message = message;
    this.unfolded = null; // what the person chose for the thinking block; null: not yet
    this.node = message.sender === "platform" ? this.notice() : this.build();
    this.update(message);
  }

  notice() {
    this.body = el("p", { class: "notice" });
    return el("li", { class: "message platform" }, this.body);
  }

  build() {
    const bot = this.message.sender === "bot";
    const name = bot ? this.chat.botName() : this.message.sender;
    this.dots = dots();
    this.thought = el("div", { class: "thought markdown" });
    this.thoughtTitle = el("span", {});
    this.summary = el("summary", { onclick: () => (this.unfolded = !this.details.open) }, this.thoughtTitle, icon("chevron"));
    this.details = el("details", { class: "thinking" }, this.summary, this.thought);
    this.text = el("div", { class: "text" });
    this.media = el("div", { class: "media" });
    this.card = el("div", { class: "card-slot" });
    this.quoted = el("div", { class: "quoted" });
    this.body = el("div", { class: "bubble" }, this.quoted, this.details, this.text, this.media, this.card, this.dots);
    this.actions = el("div", { class: "actions" });
    this.warnings = el("div", { class: "warnings" });
    this.foot = el("div", { class: "foot" });
    const below = el("div", { class: "below" }, this.foot, this.actions);
    const column = el("div", { class: "column" }, el("span", { class: "name" }, name), this.body, this.warnings, below);
    return el("li", { class: "message" }, avatar(name, bot ? "bot" : ""), column);
  }

  /** Show a newer state of the message. */
  update(message) {
    this.message = message;
    if (message.sender === "platform") {
      this.body.textContent = message.text;
      return;
    }
    const bot = message.sender === "bot";
    const waiting = bot && !message.finished && !message.expired && !message.text;
    const kind = message.card ? "card" : message.kind;
    const side = message.sender === this.chat.viewer() ? "mine" : bot ? "from-bot" : "theirs";
    this.node.className = `message ${side} kind-${kind}${message.finished ? "" : " growing"}`;
    this.node.dataset.message = message.id;
    // Screen readers hear a growing answer once, when it is whole.
    this.node.setAttribute("aria-busy", String(!message.finished));
    this.showQuote(message);
    this.showThought(message);
    this.showText(message);
    this.showMedia(message);
    // Built again only when it is another card: what a person has chosen on it stays.
    const card = JSON.stringify(message.card);
    if (card !== this.shownCard) {
      this.shownCard = card;
      const click = (key, selected) => this.chat.onClick(this.message, key, selected);
      this.card.replaceChildren(...(message.card ? [cardView(message.card, click)] : []));
    }
    this.dots.hidden = !waiting && !message.stuck;
    this.body.classList.toggle("bare", message.media.length > 0 && !message.text && !message.quote);
    this.showWarnings(message);
    this.showActions(message, bot);
    this.foot.replaceChildren(...this.footWords(message, bot));
  }

  showQuote(message) {
    this.quoted.hidden = !message.quote;
    this.quoted.textContent = message.quote;
  }

  showThought(message) {
    this.details.hidden = !message.thinking;
    if (!message.thinking) return;
    show(this.thought, message.thinking);
    const thinking = !message.text && !message.finished;
    this.thoughtTitle.textContent = t(thinking ? "thinking" : "thought");
    this.details.open = this.unfolded ?? thinking;
  }

  showText(message) {
    this.text.hidden = !message.text || (message.kind === "mixed" && message.parts?.length > 0);
    const markdown = message.sender === "bot" && MARKDOWN.has(message.kind);
    this.text.classList.toggle("markdown", markdown);
    if (markdown) show(this.text, message.text);
    else this.text.textContent = message.text;
    if (message.kind === "voice") this.text.prepend(icon("voice"));
  }

  showMedia(message) {
    const key = message.media.map((medium) => medium.media_id).join("\n");
    if (key === this.shownMedia) return;
    this.shownMedia = key;
    // Text and pictures that were sent together stand in the order in which they were sent.
    const inOrder = message.kind === "mixed" && message.parts?.length > 0;
    const parts = inOrder ? message.parts : message.media;
    this.media.classList.toggle("in-order", inOrder);
    this.media.replaceChildren(...parts.map((part) => ("text" in part ? el("p", { class: "text" }, part.text) : mediumView(part))));
  }

  showWarnings(message) {
    const words = [];
    if (message.stuck || message.expired) words.push(t("stuck"));
    if (message.fault) words.push(message.fault);
    const why = this.chat.undelivered(message);
    if (why) words.push(t("undelivered", why));
    this.warnings.replaceChildren(...words.map((text) => el("p", { class: "warning" }, text)));
  }

  showActions(message, bot) {
    const given = message.feedback?.type ?? 0;
    const key = `${message.finished} ${message.feedback_id} ${given} ${t("quote")}`;
    if (key === this.shownActions) return;
    this.shownActions = key;
    const buttons = [];
    if (message.finished) buttons.push(iconButton("quote", t("quote"), () => this.chat.onQuote(this.message)));
    if (bot && message.feedback_id && message.finished) {
      buttons.push(this.feedbackButton("like", 1, given), this.feedbackButton("dislike", 2, given));
    }
    this.actions.replaceChildren(...buttons);
  }

  feedbackButton(name, type, given) {
    const pressed = given === type;
    const press = () => {
      if (pressed) this.chat.onFeedback(this.message, 3);
      else if (type === 1) this.chat.onFeedback(this.message, 1);
      else this.chat.onDislike(this.message);
    };
    return iconButton(name, t(name), press, { "aria-pressed": String(pressed) });
  }

  footWords(message, bot) {
    const words = [el("time", { datetime: new Date(message.created * 1000).toISOString() }, clock(message.created))];
    if (bot && message.kind === "stream") words.push(el("span", {}, t("frames", message.frames)));
    if (bot && !message.finished && message.text) words.push(el("span", { class: "live" }, t("growing")));
    return words;
  }
}

function dots() {
  return el("span", { class: "dots", role: "img", "aria-label": t("thinking") }, el("i"), el("i"), el("i"));
}

function mediumView({ media_id: id, kind, name, size: bytes }) {
  const source = address(`/files/${encodeURIComponent(id)}`);
  if (kind === "image") {
    const picture = el("img", { src: source, alt: name || t("image"), loading: "lazy" });
    return el("a", { class: "picture", href: source, download: name || "image", title: t("download") }, picture);
  }
  const label = el("span", { class: "file-name" }, name || t(kind === "voice" ? "voiceKind" : kind === "video" ? "video" : "file"));
  const facts = el("span", { class: "file-facts" }, bytes ? size(bytes) : "");
  return el("a", { class: "file", href: source, download: name || kind }, icon("file"), el("span", {}, label, facts));
}
