// Where a person writes: text, pictures and files, a quote, and in groups who speaks and whether the bot is meant.

import { el, icon, iconButton } from "./dom.js";
import { size, t } from "./words.js";

const LARGEST = 100 * 1024 * 1024; // bytes of a file that people can send (protocol §6.1)
const THUMB = 56; // pixels
const NARROW = matchMedia("(max-width: 760px)");

export class Composer {
  /** `onSend({text, files, quote, mention, voice})`; `onSpeaker(userid)`; `onError(words)`. */
  constructor({ onSend, onSpeaker, onError }) {
    this.onSend = onSend;
    this.onSpeaker = onSpeaker;
    this.onError = onError;
    this.drafts = new Map(); // chat id -> text
    this.files = [];
    this.quote = null;
    this.chat = null;
    this.mentions = true;
    this.node = el("form", { class: "composer", onsubmit: (event) => this.submit(event) });
    this.render();
  }

  /** Build the form anew, in the language of the moment; what was typed stays. */
  render() {
    const typed = this.input?.value ?? "";
    this.speaker = el("select", { onchange: () => this.onSpeaker(this.speaker.value) });
    this.mention = el("input", { type: "checkbox", checked: this.mentions, onchange: () => (this.mentions = this.mention.checked) });
    this.group = el(
      "div",
      { class: "composer-group" },
      el("label", {}, t("speaker"), this.speaker),
      el("label", { title: t("mentionTip") }, this.mention, t("mention")),
    );
    this.quoteBar = el("div", { class: "quote-bar" });
    this.list = el("ul", { class: "attachments" });
    this.picker = el("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-label": t("attach") });
    this.picker.addEventListener("change", () => {
      this.add([...this.picker.files]);
      this.picker.value = "";
    });
    this.input = el("textarea", { rows: "1", "aria-label": t("message"), enterkeyhint: "send" });
    this.input.value = typed;
    this.input.addEventListener("input", () => this.grow());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("paste", (event) => this.paste(event));
    this.voice = iconButton("voice", t("voice"), () => this.send(true));
    const attach = iconButton("attach", t("attach"), () => this.picker.click());
    this.button = el("button", { type: "submit", class: "send", "aria-label": t("send"), title: t("send") }, icon("send"));
    this.node.replaceChildren(
      this.group,
      this.quoteBar,
      this.list,
      el("div", { class: "composer-row" }, attach, this.voice, this.input, this.button),
      this.picker,
    );
    this.showQuote();
    this.showFiles();
    if (this.chat) this.open(this.chat, this.speaking, this.botName);
  }

  /** Write in this chat, as this person. */
  open(chat, speaker, botName) {
    if (this.chat && this.chat.id !== chat.id) {
      this.drafts.set(this.chat.id, this.input.value);
      this.input.value = this.drafts.get(chat.id) ?? "";
      this.quoting(null);
      this.files = [];
      this.showFiles();
    }
    this.chat = chat;
    this.speaking = speaker;
    this.botName = botName;
    const group = chat.type === "group";
    this.group.hidden = !group;
    this.voice.hidden = group; // voice reaches the bot in single chats only (protocol §6.1)
    this.speaker.replaceChildren(...chat.members.map((member) => el("option", { value: member, selected: member === speaker }, member)));
    this.input.placeholder = NARROW.matches ? t("placeholderShort") : t("placeholder", group ? chat.title : botName);
    this.grow();
  }

  focus() {
    this.input.focus();
  }

  quoting(message, words = "") {
    this.quote = message && { message, words };
    this.showQuote();
    if (message) this.focus();
  }

  showQuote() {
    this.quoteBar.hidden = !this.quote;
    if (!this.quote) return;
    const words = el("span", {}, t("quoting", this.quote.message.sender === "bot" ? t("bot") : this.quote.message.sender), this.quote.words);
    this.quoteBar.replaceChildren(words, iconButton("close", t("cancelQuote"), () => this.quoting(null)));
  }

  add(files) {
    for (const file of files) {
      if (file.size > LARGEST) this.onError(t("tooLarge", file.name, size(LARGEST)));
      else this.files.push(file);
    }
    this.showFiles();
    this.focus();
  }

  showFiles() {
    this.list.hidden = this.files.length === 0;
    this.list.replaceChildren(...this.files.map((file) => this.chip(file)));
    this.grow();
  }

  chip(file) {
    const remove = () => {
      this.files = this.files.filter((other) => other !== file);
      this.showFiles();
      this.focus();
    };
    const words = el("span", { class: "chip-words" }, el("span", { class: "file-name" }, file.name), el("span", { class: "file-facts" }, size(file.size)));
    return el("li", { class: "chip" }, thumbnail(file), words, iconButton("close", t("remove", file.name), remove));
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 160)}px`;
    this.button.disabled = !this.input.value.trim() && this.files.length === 0;
    this.voice.disabled = !this.input.value.trim() || this.files.length > 0;
  }

  key(event) {
    // An Enter that picks a candidate of an input method is not meant for us; 229 is how Safari says it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.send(false);
  }

  paste(event) {
    const files = [...event.clipboardData.files];
    // Office programs put a picture of copied text beside the text: then the text is meant.
    if (!files.length || event.clipboardData.getData("text/plain")) return;
    event.preventDefault();
    this.add(files);
  }

  submit(event) {
    event.preventDefault();
    this.send(false);
  }

  async send(voice) {
    const text = this.input.value.trim();
    if ((!text && !this.files.length) || !this.chat) return;
    const message = { text, files: this.files, quote: this.quote?.message.id ?? null, mention: this.mention.checked, voice };
    this.input.value = "";
    this.files = [];
    this.quoting(null);
    this.showFiles();
    this.focus();
    if (await this.onSend(message)) return;
    // Nothing was sent: give the words back, unless new ones have been typed.
    if (!this.input.value) this.input.value = text;
    this.files = [...message.files, ...this.files];
    this.showFiles();
  }
}

/** A small picture of an image file, drawn here, so that the page needs no addresses that it made up itself. */
function thumbnail(file) {
  if (!file.type.startsWith("image/")) return el("span", { class: "thumb" }, icon("file"));
  const canvas = el("canvas", { class: "thumb", width: THUMB * 2, height: THUMB * 2, "aria-hidden": "true" });
  createImageBitmap(file).then(
    (picture) => {
      const side = Math.min(picture.width, picture.height);
      const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
      canvas.getContext("2d").drawImage(picture, left, top, side, side, 0, 0, canvas.width, canvas.height);
      picture.close();
    },
    () => canvas.replaceWith(el("span", { class: "thumb" }, icon("file"))), // named like an image, and none
  );
  return canvas;
}
