// The open chat: its head, its messages as they grow, and files dropped onto it.

import { Bubble } from "./bubbles.js";
import { el, icon, iconButton } from "./dom.js";
import { t } from "./words.js";

const NEAR = 60; // pixels from the end that count as reading the newest message
const KEPT = 500; // messages of a chat; the gateway keeps as many

export class Conversation {
  /**
   * `deeds` has what a person can do here: onBack(), onEnter(), onTrace(), and what `Bubble` asks for. `composer` is
   * the Composer below the messages.
   */
  constructor(deeds, composer) {
    this.deeds = deeds;
    this.composer = composer;
    this.chat = null;
    this.tracing = false; // whether the trace is beside it
    this.bubbles = new Map(); // message id -> Bubble
    this.pinned = true; // stays at the newest message
    this.node = el("main", { class: "conversation" });
    this.dropping();
  }

  /** Build the pane anew, in the language of the moment. */
  render() {
    this.head = el("header", { class: "pane-head" });
    this.log = el("ol", { class: "messages", role: "log", "aria-live": "polite", "aria-label": t("messages"), tabindex: "0" });
    this.log.addEventListener("scroll", () => this.scrolled());
    // Pictures take their place when they have loaded; load events do not bubble.
    this.log.addEventListener("load", () => this.pinned && this.toEnd(), true);
    const toEnd = { type: "button", class: "newest", hidden: true, onclick: () => this.toEnd() };
    this.newest = el("button", toEnd, icon("down"), t("newest"));
    this.blank = el("div", { class: "blank" });
    this.drop = el("div", { class: "drop", hidden: true }, t("drop"));
    const middle = el("div", { class: "log" }, this.log, this.blank, this.newest);
    this.node.replaceChildren(this.head, middle, this.composer.node, this.drop);
  }

  /** Show this chat (null: none) with these messages. `toEnd` is for when everything around it has its size. */
  open(chat, messages) {
    this.chat = chat;
    this.bubbles.clear();
    this.log.replaceChildren();
    this.composer.node.hidden = !chat;
    this.drawHead();
    for (const message of messages) this.draw(message);
    this.drawBlank();
  }

  /** Show a message of this chat that is new or has changed, and follow it when the newest is being read. */
  receive(message) {
    const known = this.bubbles.has(message.id);
    this.draw(message);
    this.drawBlank();
    if (this.pinned) this.toEnd();
    else if (!known) this.newest.hidden = false;
  }

  draw(message) {
    const bubble = this.bubbles.get(message.id);
    if (bubble) {
      bubble.update(message);
      return;
    }
    const made = new Bubble(message, this.deeds);
    this.bubbles.set(message.id, made);
    this.log.append(made.node);
    if (this.bubbles.size > KEPT) {
      const [oldest, { node }] = this.bubbles.entries().next().value;
      this.bubbles.delete(oldest);
      node.remove();
    }
  }

  /** Show a message again: something about it has changed that it does not say itself. */
  redraw(id) {
    const bubble = this.bubbles.get(id);
    bubble?.update(bubble.message);
  }

  drawBlank() {
    this.blank.hidden = this.bubbles.size > 0;
    if (this.blank.hidden) return;
    if (!this.chat) this.blank.replaceChildren(el("p", {}, t("pick")));
    else this.blank.replaceChildren(el("p", {}, t("empty")), el("p", { class: "muted" }, t("emptyHint")));
  }

  drawHead() {
    const chat = this.chat;
    const back = iconButton("back", t("back"), () => this.deeds.onBack());
    back.classList.add("back");
    const words = t(this.tracing ? "traceHide" : "traceShow");
    const states = { "aria-controls": "trace", "aria-pressed": String(this.tracing) };
    this.traceButton = iconButton("trace", words, () => this.deeds.onTrace(), states);
    const facts = chat && (chat.type === "group" ? t("members", chat.members.length) : t("single"));
    const title = el("div", { class: "head-words" }, el("h2", {}, chat?.title ?? t("title")), facts && el("span", { class: "muted" }, facts));
    const enter = { type: "button", class: "text-button", title: t("enterTip"), onclick: () => this.deeds.onEnter() };
    const enterButton = chat?.type === "single" && el("button", enter, icon("door"), el("span", {}, t("enter")));
    this.head.replaceChildren(...[chat && back, title, enterButton, this.traceButton].filter(Boolean));
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    this.pinned = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.pinned) this.newest.hidden = true;
  }

  toEnd() {
    this.pinned = true;
    this.newest.hidden = true;
    this.log.scrollTop = this.log.scrollHeight;
  }

  dropping() {
    let depth = 0; // dragenter and dragleave come for every child
    const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const show = (by) => {
      depth = Math.max(0, depth + by);
      this.drop.hidden = depth === 0 || !this.chat;
    };
    this.node.addEventListener("dragenter", (event) => files(event) && show(1));
    this.node.addEventListener("dragleave", (event) => files(event) && show(-1));
    // Anywhere on the page: a file that misses the chat must not replace the page.
    addEventListener("dragover", (event) => files(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      show(-depth);
      if (this.chat && this.node.contains(event.target)) this.composer.add([...event.dataTransfer.files]);
    });
  }
}
