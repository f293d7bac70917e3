// The list of chats on the left, and the form that makes a new person or group.

import { avatar, snippet } from "./bubbles.js";
import { el, iconButton } from "./dom.js";
import { clock, t } from "./words.js";

export class ChatList {
  /** `onPick(id)`, `onNew()`. */
  constructor({ onPick, onNew }) {
    this.onPick = onPick;
    this.onNew = onNew;
    this.known = new Map(); // chat id -> Row
    this.rows = el("ul", { class: "chat-rows" });
    this.node = el("nav", { class: "chats" });
  }

  /** Build the frame of the list anew; `tools` are the page's own buttons for its head. */
  render(tools) {
    this.node.setAttribute("aria-label", t("chats"));
    const add = iconButton("plus", t("newChat"), () => this.onNew());
    this.node.replaceChildren(el("header", { class: "pane-head" }, el("h1", {}, t("chats")), ...tools, add), this.rows);
  }

  /**
   * Show the chats, the one with the newest message first. `last(id)` is a chat's newest message, if any; `known` says
   * that there are no others, so that an empty list may say so.
   */
  draw(chats, current, last, unread, known) {
    const when = (chat) => last(chat.id)?.created ?? 0;
    const sorted = [...chats].sort((one, other) => when(other) - when(one));
    // Rows stay the same elements: one that is replaced between press and release of a button swallows the click.
    const nodes = sorted.map((chat) => {
      const row = this.known.get(chat.id) ?? new Row(chat, () => this.onPick(chat.id));
      this.known.set(chat.id, row);
      row.update(chat, chat.id === current, last(chat.id), unread.get(chat.id) ?? 0);
      return row.node;
    });
    if (known && !chats.length) nodes.push(this.hint());
    for (const node of [...this.rows.children]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, at) => {
      if (this.rows.children[at] !== node) this.rows.insertBefore(node, this.rows.children[at] ?? null);
    });
  }

  hint() {
    const make = el("button", { type: "button", class: "primary", onclick: () => this.onNew() }, t("newChat"));
    return el("li", { class: "hint" }, el("strong", {}, t("noChats")), el("p", {}, t("noChatsHint")), make);
  }
}

class Row {
  constructor(chat, onclick) {
    this.title = el("span", { class: "chat-title" });
    this.time = el("time");
    this.last = el("span", { class: "chat-last" });
    this.unread = el("span", { class: "unread" });
    const top = el("span", { class: "chat-top" }, this.title, this.time);
    const face = avatar(chat.title, chat.type === "group" ? "group" : "");
    const words = el("span", { class: "chat-words" }, top, this.last);
    this.button = el("button", { type: "button", class: "chat-row", onclick }, face, words, this.unread);
    this.node = el("li", {}, this.button);
  }

  update(chat, current, message, unread) {
    const sender = message && chat.type === "group" && message.sender !== "bot" ? `${message.sender}: ` : "";
    this.title.textContent = chat.title;
    this.time.textContent = message ? clock(message.created) : "";
    this.last.textContent = message ? sender + snippet(message) : t(chat.type);
    this.unread.textContent = String(Math.min(unread, 99));
    this.unread.hidden = unread === 0;
    if (current) this.button.setAttribute("aria-current", "true");
    else this.button.removeAttribute("aria-current");
  }
}

/** Ask for a new chat; `create({type, title, members})` makes it and returns whether it did. */
export function askForChat(create) {
  const group = el("input", { type: "radio", name: "type", value: "group" });
  const single = el("input", { type: "radio", name: "type", value: "single", checked: true });
  const person = el("input", { name: "person", required: true, maxlength: "64", autocomplete: "off" });
  const title = el("input", { name: "title", maxlength: "64", autocomplete: "off" });
  const members = el("input", { name: "members", autocomplete: "off", placeholder: "zhangsan, lisi" });
  const forPerson = el("label", {}, t("personId"), person);
  const forGroup = [el("label", {}, t("groupTitle"), title), el("label", {}, t("groupMembers"), members)];
  const choose = () => {
    forPerson.hidden = group.checked;
    for (const label of forGroup) label.hidden = !group.checked;
    person.required = !group.checked;
    title.required = group.checked;
    members.required = group.checked;
  };
  for (const radio of [group, single]) radio.addEventListener("change", choose);
  choose();
  const kinds = el(
    "fieldset",
    {},
    el("legend", {}, t("kind")),
    el("label", { class: "inline" }, single, t("single")),
    el("label", { class: "inline" }, group, t("group")),
  );
  return ask(t("newChat"), [kinds, forPerson, ...forGroup], t("create"), () => {
    if (!group.checked) return create({ type: "single", title: person.value.trim(), members: [person.value.trim()] });
    const people = members.value.split(/[,，、;；\s]+/).filter(Boolean);
    return create({ type: "group", title: title.value.trim(), members: [...new Set(people)] });
  });
}

/** Ask what was wrong with an answer; `give(content, reasons)` sends it and returns whether it did. */
export function askForReasons(give) {
  const boxes = [1, 2, 3, 4].map((reason) => {
    const box = el("input", { type: "checkbox", value: reason });
    return [box, el("label", { class: "inline" }, box, t(`reason${reason}`))];
  });
  const content = el("textarea", { rows: "3", maxlength: "1000" });
  const fields = [el("div", { class: "reasons" }, boxes.map(([, label]) => label)), el("label", {}, t("feedbackText"), content)];
  return ask(t("feedbackTitle"), fields, t("submit"), () => {
    return give(content.value.trim(), boxes.filter(([box]) => box.checked).map(([box]) => Number(box.value)));
  });
}

function ask(heading, fields, verb, act) {
  const dialog = el("dialog", { class: "dialog", "aria-label": heading });
  const submit = async (event) => {
    event.preventDefault();
    if (await act()) dialog.close();
  };
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, t("cancel"));
  const done = el("button", { type: "submit", class: "primary" }, verb);
  dialog.append(el("form", { onsubmit: submit }, el("h2", {}, heading), fields, el("div", { class: "dialog-buttons" }, cancel, done)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
