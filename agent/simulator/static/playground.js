// The page: what it knows of the simulator, the three panes, and who tells whom.

import { Bubble, snippet } from "./bubbles.js";
import { askForChat, askForReasons, ChatList } from "./chats.js";
import { Composer } from "./composer.js";
import { el, icon, iconButton } from "./dom.js";
import { call, Feed } from "./line.js";
import { Trace } from "./trace.js";
import { switchLanguage, t, tag } from "./words.js";

// Made when there is no chat at all, so that the first thing to do is to type. Making them twice changes nothing.
const SAMPLES = [
  { type: "single", title: "zhangsan", members: ["zhangsan"] },
  { type: "single", title: "lisi", members: ["lisi"] },
  { type: "group", id: "wr-sample-group", title: "产品讨论群", members: ["zhangsan", "lisi", "wangwu"] },
];
const NARROW = matchMedia("(max-width: 760px)");
const TOUCH = matchMedia("(pointer: coarse)");

class Playground {
  constructor(root) {
    this.root = root;
    this.bot = { name: "Bot", state: "unknown" };
    this.started = null; // the simulator's own id, when it tells one
    this.chats = new Map(); // id -> {id, type, title, members}
    this.messages = new Map(); // chat id -> Map of message id -> message, in the order of their first frames
    this.unread = new Map();
    this.speakers = new Map(); // chat id -> who speaks in this group
    this.undelivered = new Map(); // message id -> why the bot did not get it
    this.bubbles = new Map(); // of the chat that is open
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
    this.trace = new Trace();
    this.showTrace = !NARROW.matches && innerWidth >= 1100;
    this.render();
    this.feed = new Feed(
      (event) => this.hear(event),
      (open, seconds) => this.connection(open, seconds),
    );
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
    this.head = el("header", { class: "pane-head" });
    this.log = el("ol", { class: "messages", role: "log", "aria-live": "polite", "aria-label": t("messages"), tabindex: "0" });
    this.log.addEventListener("scroll", () => this.scrolled());
    this.newest = el("button", { type: "button", class: "newest", hidden: true, onclick: () => this.toEnd() }, icon("down"), t("newest"));
    this.drop = el("div", { class: "drop", hidden: true }, t("drop"));
    this.blank = el("div", { class: "blank" });
    const main = el("main", { class: "conversation" }, this.head, el("div", { class: "log" }, this.log, this.blank, this.newest), this.composer.node, this.drop);
    this.dropping(main);
    this.root.replaceChildren(this.banner, this.list.node, main, this.trace.node);
    this.pinned = true;
    this.drawChats();
    this.drawConversation();
    this.drawState();
    this.layout();
  }

  layout() {
    this.root.classList.toggle("with-trace", this.showTrace);
    this.root.classList.toggle("in-chat", this.current !== null);
  }

  dropping(target) {
    let depth = 0; // dragenter and dragleave come for every child
    const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files") && this.current !== null;
    const show = (by) => {
      depth = Math.max(0, depth + by);
      this.drop.hidden = depth === 0;
    };
    target.addEventListener("dragenter", (event) => files(event) && show(1));
    target.addEventListener("dragleave", (event) => files(event) && show(-1));
    target.addEventListener("dragover", (event) => files(event) && event.preventDefault());
    target.addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      show(-depth);
      this.composer.add([...event.dataTransfer.files]);
    });
  }

  drawChats() {
    const last = (id) => [...(this.messages.get(id)?.values() ?? [])].at(-1);
    const known = this.online !== null && this.early === null;
    this.list.draw([...this.chats.values()], this.current, last, this.unread, known);
  }

  drawConversation() {
    const chat = this.chats.get(this.current);
    this.bubbles.clear();
    this.log.replaceChildren();
    this.composer.node.hidden = !chat;
    this.drawHead(chat);
    if (!chat) {
      this.drawBlank();
      return;
    }
    this.composer.open(chat, this.viewer(chat), this.bot.name);
    for (const message of this.messages.get(chat.id)?.values() ?? []) this.drawMessage(message);
    this.drawBlank();
    this.toEnd();
  }

  drawBlank() {
    const chat = this.chats.get(this.current);
    this.blank.hidden = Boolean(chat) && this.bubbles.size > 0;
    if (this.blank.hidden) return;
    if (!chat) this.blank.replaceChildren(el("p", {}, t("pick")));
    else this.blank.replaceChildren(el("p", {}, t("empty")), el("p", { class: "muted" }, t("emptyHint")));
  }

  drawHead(chat) {
    const back = iconButton("back", t("back"), () => this.leave());
    back.classList.add("back");
    const words = t(this.showTrace ? "traceHide" : "traceShow");
    this.traceButton = iconButton("trace", words, () => this.toggleTrace(), { "aria-controls": "trace", "aria-pressed": String(this.showTrace) });
    const title = el("h2", {}, chat?.title ?? t("title"));
    const facts = chat && el("span", { class: "muted" }, chat.type === "group" ? t("members", chat.members.length) : t("single"));
    const enter =
      chat?.type === "single" &&
      el("button", { type: "button", class: "text-button", title: t("enterTip"), onclick: () => this.enter() }, icon("door"), el("span", {}, t("enter")));
    const parts = [chat && back, el("div", { class: "head-words" }, title, facts), enter, this.traceButton];
    this.head.replaceChildren(...parts.filter(Boolean));
    this.layout();
  }

  drawMessage(message) {
    const bubble = this.bubbles.get(message.id);
    if (bubble) {
      bubble.update(message);
      return;
    }
    const chat = {
      botName: () => this.bot.name,
      viewer: () => this.viewer(this.chats.get(message.chat)),
      undelivered: (sent) => this.undelivered.get(sent.id) ?? "",
      onQuote: (quoted) => this.composer.quoting(quoted, snippet(quoted)),
      onFeedback: (rated, type, content, reasons) => this.rate(rated, type, content, reasons),
      onDislike: (rated) => askForReasons((content, reasons) => this.rate(rated, 2, content, reasons)),
      onClick: (clicked, key, selected) => this.click(clicked, key, selected),
    };
    const made = new Bubble(message, chat);
    this.bubbles.set(message.id, made);
    this.log.append(made.node);
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

  // -- scrolling --------------------------------------------------------------------------------------------------

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    this.pinned = scrollHeight - scrollTop - clientHeight < 60;
    if (this.pinned) this.newest.hidden = true;
  }

  toEnd() {
    this.pinned = true;
    this.newest.hidden = true;
    this.log.scrollTop = this.log.scrollHeight;
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
    return true;
  }

  receive(message) {
    const known = this.messages.get(message.chat)?.has(message.id) ?? false;
    if (!this.keep(message)) return;
    if (!this.chats.has(message.chat)) this.attempt(() => this.refresh());
    if (message.sender === "bot" && !known) this.delivered(message.req_id);
    if (message.chat === this.current) {
      this.drawMessage(message);
      this.drawBlank();
      if (this.pinned) this.toEnd();
      else if (!known) this.newest.hidden = false;
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
    if (chat.id === this.current) this.drawHead(chat);
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
    this.drawHead(this.chats.get(this.current));
    this.traceButton.focus();
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

  /** Send what was composed, as WeCom would cut it: pictures travel with the text, everything else alone. */
  send({ text, files, quote, mention, voice }) {
    const chat = this.chats.get(this.current);
    const user = this.viewer(chat);
    const path = `/api/chats/${encodeURIComponent(chat.id)}`;
    return this.attempt(async () => {
      const pictures = files.filter((file) => /^image\/(png|jpeg|gif|webp)$/.test(file.type));
      const others = files.filter((file) => !pictures.includes(file));
      for (const file of others) {
        await this.post(path, { user, kind: file.type.startsWith("video/") ? "video" : "file", files: [file], text: "", quote, mention });
      }
      if (pictures.length) {
        const alone = pictures.length === 1 && !text && chat.type === "single";
        await this.post(path, { user, kind: alone ? "image" : "mixed", files: pictures, text, quote, mention });
      } else if (voice) {
        await this.post(path, { user, kind: "voice", files: [], text, quote, mention });
      } else if (text) {
        this.report(await call("POST", `${path}/say`, { user, text, quote, mention }));
      }
    });
  }

  async post(path, { user, kind, files, text, quote, mention }) {
    const form = new FormData();
    form.append("user", user);
    form.append("kind", kind);
    form.append("text", text);
    form.append("mention", String(mention));
    if (quote) form.append("quote", quote);
    for (const file of files) form.append("files", file, file.name);
    this.report(await call("POST", `${path}/send`, form));
  }

  /** Say it when something did not reach the bot: at the message itself when there is one. */
  report(sent) {
    if (sent?.delivered !== false) return;
    if (sent.message_id) {
      this.undelivered.set(sent.message_id, sent.why);
      this.redraw(sent.message_id);
    } else {
      this.toast(t("undelivered", sent.why));
    }
  }

  /** An answer shows that a message which was held back has reached the bot after all. */
  delivered(request) {
    for (const message of this.undelivered.size ? (this.messages.get(this.current)?.values() ?? []) : []) {
      if (message.req_id === request && this.undelivered.delete(message.id)) this.redraw(message.id);
    }
  }

  redraw(id) {
    const bubble = this.bubbles.get(id);
    bubble?.update(bubble.message);
  }

  enter() {
    const chat = this.chats.get(this.current);
    return this.attempt(async () => {
      const sent = await call("POST", `/api/chats/${encodeURIComponent(chat.id)}/enter`, { user: this.viewer(chat) });
      if (sent?.delivered === false) this.report(sent);
      else this.toast(t("entered"));
    });
  }

  rate(message, type, content, reasons) {
    const user = this.viewer(this.chats.get(message.chat));
    const path = `/api/messages/${encodeURIComponent(message.id)}/feedback`;
    return this.attempt(async () => this.report(await call("POST", path, { user, type, content, reasons })));
  }

  click(message, key, selected) {
    const user = this.viewer(this.chats.get(message.chat));
    const path = `/api/messages/${encodeURIComponent(message.id)}/click`;
    return this.attempt(async () => this.report(await call("POST", path, { user, key, selected })));
  }

  toast(words) {
    const node = el("p", { class: "toast" }, words);
    document.getElementById("toasts").append(node);
    setTimeout(() => node.remove(), 6000);
  }
}

new Playground(document.getElementById("app"));
