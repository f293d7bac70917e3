// The page: what it knows of the simulator, the three panes, and who tells whom.

import { snippet } from "./bubbles.js";
import { askForChat, askForReasons, ChatList } from "./chats.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import * as deeds from "./deeds.js";
import { el } from "./dom.js";
import { call, Feed } from "./line.js";
import { Trace } from "./trace.js";
import { switchLanguage, t, tag } from "./words.js";

// Made when there is no chat at all, so that the first thing to do is to type. Making them twice changes nothing.
const SAMPLES = [
  { type: "single", title: "zhangsan", members: ["zhangsan"] },
  { type: "single", title: "lisi", members: ["lisi"] },
  { type: "group", id: "wr-sample-group", title: "产品讨论群", members: ["zhangsan", "lisi", "wangwu"] },
];
const KEPT = 500; // messages of a chat, as in the gateway
const NARROW = matchMedia("(max-width: 760px)");
const TOUCH = matchMedia("(pointer: coarse)");

class Playground {
  constructor(root) {
    this.root = root;
    this.bot = { name: "Bot", state: "unknown" };
    this.chats = new Map(); // id -> {id, type, title, members}
    this.messages = new Map(); // chat id -> Map of message id -> message, in the order of their first frames
    this.unread = new Map();
    this.speakers = new Map(); // chat id -> who speaks in this group
    this.undelivered = new Map(); // req_id of a person's message -> why the bot did not get it
    this.current = null;
    this.online = null; // null until the first connection
    this.early = null; // events that came before the history, while that is fetched
    this.list = new ChatList({
      onPick: (id) => this.open(id),
      onNew: () => askForChat((chat) => this.create(chat)),
    });
    this.composer = new Composer({
      onSend: (message) => this.send(message),
      onSpeaker: (user) => this.speak(user),
      onError: (words) => this.toast(words),
    });
    this.conversation = new Conversation(this.deeds(), this.composer);
    this.trace = new Trace();
    this.showTrace = !NARROW.matches && innerWidth >= 1100;
    this.render();
    this.feed = new Feed(
      (event) => this.hear(event),
      (open, seconds) => this.connection(open, seconds),
    );
  }

  /** What a person can do in a conversation, and what its bubbles ask. */
  deeds() {
    return {
      onBack: () => this.leave(),
      onEnter: () => this.enter(),
      onTrace: () => this.toggleTrace(),
      botName: () => this.bot.name,
      viewer: () => this.viewer(this.chats.get(this.current)),
      undelivered: (message) => (message.sender === "bot" ? "" : (this.undelivered.get(message.req_id) ?? "")),
      onQuote: (message) => this.composer.quoting(message, snippet(message)),
      onFeedback: (message, type) => this.rate(message, type, "", []),
      onDislike: (message) => askForReasons((content, reasons) => this.rate(message, 2, content, reasons)),
      onClick: (message, key, selected) => this.click(message, key, selected),
    };
  }

  // -- building ---------------------------------------------------------------------------------------------------

  /** Build everything in the language of the moment. */
  render() {
    document.documentElement.lang = tag();
    document.title = t("title");
    this.banner = el("div", { class: "banner", role: "status" });
    this.botState = el("span", { class: "bot-state" });
    const language = el("button", { type: "button", class: "icon-button", title: t("language"), "aria-label": t("language") }, t("languageShort"));
    language.addEventListener("click", () => {
      switchLanguage();
      this.render();
    });
    this.list.render([this.botState, language]);
    this.trace.render();
    this.composer.render();
    this.conversation.render();
    this.root.replaceChildren(this.banner, this.list.node, this.conversation.node, this.trace.node);
    this.drawChats();
    this.drawConversation();
    this.drawState();
  }

  layout() {
    this.root.classList.toggle("with-trace", this.showTrace);
    this.root.classList.toggle("in-chat", this.current !== null);
    this.conversation.tracing = this.showTrace;
    this.conversation.drawHead();
  }

  drawChats() {
    const last = (id) => [...(this.messages.get(id)?.values() ?? [])].at(-1);
    const known = this.online !== null && this.early === null;
    this.list.draw([...this.chats.values()], this.current, last, this.unread, known);
  }

  drawConversation() {
    const chat = this.chats.get(this.current) ?? null;
    this.conversation.open(chat, chat ? (this.messages.get(chat.id)?.values() ?? []) : []);
    this.layout();
    if (chat) this.composer.open(chat, this.viewer(chat), this.bot.name); // measures itself, so it must be visible
    this.conversation.toEnd();
  }

  drawState() {
    const state = this.online ? this.bot.state : "unknown";
    this.botState.className = `bot-state ${state}`;
    this.botState.textContent = this.online ? t(state) : "";
    this.botState.title = `${this.bot.name}: ${t(state)}`;
    if (this.online === false) return; // the countdown stands in the banner
    const words = { gone: "botGone", connected: "botConnected", displaced: "botDisplaced" }[state];
    this.banner.className = `banner ${state}`;
    this.banner.hidden = this.online === true && !words;
    this.banner.replaceChildren(this.online === null ? t("connecting") : words ? t(words) : "");
  }

  // -- what the simulator says --------------------------------------------------------------------------------------

  connection(open, seconds) {
    if (open) return; // the snapshot says the rest
    this.online = false;
    this.drawState();
    const retry = el("button", { type: "button", onclick: () => this.feed.retry() }, t("retry"));
    this.banner.className = "banner lost";
    this.banner.hidden = false;
    this.banner.replaceChildren(el("span", {}, t("lost", seconds)), retry);
  }

  hear(event) {
    if (event.type === "snapshot") this.begin(event);
    else if (this.early) this.early.push(event);
    else this.follow(event);
  }

  follow(event) {
    switch (event.type) {
      case "message":
        return this.receive(event.message);
      case "chat":
        return this.learn(event.chat);
      case "bot":
        this.bot = { ...this.bot, ...event };
        return this.drawState();
      case "trace":
        return this.trace.add(event.entry);
      case "violation":
        return this.trace.violate(event.violation ?? event);
      default:
        return undefined; // a newer simulator may say more
    }
  }

  /** A snapshot: fetch what happened before it, then follow the events that came meanwhile. */
  async begin(snapshot) {
    const early = [];
    this.early = early;
    this.online = true;
    this.bot = { ...this.bot, ...snapshot.bot };
    this.chats = new Map(snapshot.chats.map((chat) => [chat.id, chat]));
    if (!this.chats.has(this.current)) this.current = null;
    this.messages.clear();
    this.trace.reset();
    this.drawState();
    await this.attempt(async () => {
      const [frames, violations] = await Promise.all([call("GET", "/api/trace?after=0"), call("GET", "/api/violations")]);
      if (!this.chats.size) await this.createSamples();
      if (this.early === early) this.recall(frames, violations.slice(0, snapshot.violations));
      await Promise.all([...this.chats.keys()].map((id) => this.load(id)));
    });
    if (this.early !== early) return; // another connection has begun meanwhile
    this.early = null;
    if (this.current === null && this.chats.size > 0 && !NARROW.matches) this.current = this.chats.keys().next().value;
    this.drawChats();
    this.drawConversation();
    early.forEach((event) => this.follow(event));
  }

  /** What happened before the page was opened: frames and violations in the order of their times. */
  recall(frames, violations) {
    const all = [...frames.map((entry) => [entry.at, entry]), ...violations.map((found) => [found.at, found])];
    for (const [, what] of all.sort(([one], [other]) => one - other)) {
      if ("rule" in what) this.trace.violate(what);
      else this.trace.add(what);
    }
  }

  async load(id) {
    for (const message of await call("GET", `/api/chats/${encodeURIComponent(id)}/messages`)) this.keep(message);
  }

  /** Remember a message unless a newer state of it is known; whether it was news. */
  keep(message) {
    if (!this.messages.has(message.chat)) this.messages.set(message.chat, new Map());
    const known = this.messages.get(message.chat);
    const old = known.get(message.id);
    if (old && (old.updated > message.updated || old.frames > message.frames)) return false;
    known.set(message.id, message);
    if (known.size > KEPT) known.delete(known.keys().next().value);
    return true;
  }

  receive(message) {
    const known = this.messages.get(message.chat)?.has(message.id) ?? false;
    if (!this.keep(message)) return;
    if (!this.chats.has(message.chat)) this.attempt(() => this.refresh());
    // A message that was held back has reached the bot after all when there is an answer to it.
    if (message.sender === "bot" && this.undelivered.delete(message.req_id)) this.drawConversation();
    if (message.chat === this.current) {
      this.conversation.receive(message);
    } else if (!known) {
      this.unread.set(message.chat, (this.unread.get(message.chat) ?? 0) + 1);
    }
    this.drawChatsSoon();
  }

  drawChatsSoon() {
    if (this.chatsStale) return;
    this.chatsStale = true;
    setTimeout(() => {
      this.chatsStale = false;
      this.drawChats();
    }, 200);
  }

  async refresh() {
    const { chats } = await call("GET", "/api/state");
    for (const chat of chats) this.chats.set(chat.id, chat);
    this.drawChats();
  }

  learn(chat) {
    this.chats.set(chat.id, chat);
    this.drawChats();
    if (chat.id !== this.current) return;
    this.conversation.chat = chat;
    this.composer.open(chat, this.viewer(chat), this.bot.name);
    this.layout();
  }

  // -- what the person does -----------------------------------------------------------------------------------------

  /** Run a request; a failure is shown and answered with false. */
  async attempt(act) {
    try {
      await act();
      return true;
    } catch (error) {
      this.toast(t("failed", error instanceof TypeError ? t("unreachable") : error.message));
      return false;
    }
  }

  viewer(chat) {
    if (chat?.type !== "group") return chat?.members[0];
    const speaker = this.speakers.get(chat.id);
    return chat.members.includes(speaker) ? speaker : chat.members[0];
  }

  open(id) {
    this.current = id;
    this.unread.delete(id);
    this.drawChats();
    this.drawConversation();
    if (!TOUCH.matches) this.composer.focus(); // on a phone this would raise the keyboard
  }

  leave() {
    this.current = null;
    this.drawChats();
    this.drawConversation();
  }

  speak(user) {
    this.speakers.set(this.current, user);
    this.drawConversation();
    this.composer.focus();
  }

  toggleTrace() {
    this.showTrace = !this.showTrace;
    this.layout();
    this.conversation.traceButton.focus();
  }

  create(chat) {
    return this.attempt(async () => {
      const made = await call("POST", "/api/chats", chat);
      this.chats.set(made.id, made);
      this.open(made.id);
    });
  }

  async createSamples() {
    for (const chat of SAMPLES) {
      const made = await call("POST", "/api/chats", chat);
      this.chats.set(made.id, made);
    }
  }

  send(message) {
    const chat = this.chats.get(this.current);
    return this.attempt(async () => {
      for (const sent of await deeds.send(chat, this.viewer(chat), message)) this.report(sent);
    });
  }

  /** Say it when something did not reach the bot: at the message itself when there is one. */
  report(sent) {
    if (sent.delivered) return;
    if (sent.message_id) {
      this.undelivered.set(sent.req_id, sent.why);
      this.conversation.redraw(sent.message_id);
    } else {
      this.toast(t("undelivered", sent.why));
    }
  }

  enter() {
    const chat = this.chats.get(this.current);
    return this.attempt(async () => {
      const sent = await deeds.enter(chat, this.viewer(chat));
      if (sent.delivered) this.toast(t("entered"));
      else this.report(sent);
    });
  }

  rate(message, type, content, reasons) {
    const user = this.viewer(this.chats.get(message.chat));
    return this.attempt(async () => this.report(await deeds.rate(message, user, type, content, reasons)));
  }

  click(message, key, selected) {
    const user = this.viewer(this.chats.get(message.chat));
    return this.attempt(async () => this.report(await deeds.click(message, user, key, selected)));
  }

  toast(words) {
    const node = el("p", { class: "toast" }, words);
    document.getElementById("toasts").append(node);
    setTimeout(() => node.remove(), 6000);
  }
}

new Playground(document.getElementById("app"));
