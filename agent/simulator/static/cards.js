// Template cards (protocol §16), plainly: every part as text, links and controls; pictures by address become links.

import { el } from "./dom.js";
import { link, safeAddress } from "./inline.js";
import { t } from "./words.js";

/** A card. `click(key, selected)` reports a button; `selected` maps a question's key to the ids chosen. */
export function cardView(card, click) {
  const form = new Map(); // question key -> () => chosen ids
  const chosen = () => Object.fromEntries([...form].map(([key, read]) => [key, read()]));
  const press = (key) => click(key, chosen());
  const title = card.main_title ?? {};
  return el(
    "article",
    { class: "card" },
    head(card, press),
    title.title && el("h3", {}, title.title),
    title.desc && el("p", { class: "muted" }, title.desc),
    card.emphasis_content && emphasis(card.emphasis_content),
    card.card_image && picture(card.card_image.url),
    card.image_text_area && pictureText(card.image_text_area),
    card.quote_area && quoteArea(card.quote_area),
    card.sub_title_text && el("p", {}, card.sub_title_text),
    list(card.vertical_content_list).map((part) => el("div", {}, el("strong", {}, part.title ?? ""), el("p", {}, part.desc ?? ""))),
    pairs(card.horizontal_content_list),
    [...list(card.select_list), ...(card.button_selection ? [card.button_selection] : [])].map((part) => choice(part, form)),
    card.checkbox && boxes(card.checkbox, form),
    buttons(card, press),
    list(card.jump_list).map((part) => el("p", {}, target(part.url, part.title ?? t("open")))),
    card.card_action?.url && el("p", { class: "card-open" }, target(card.card_action.url, t("open"))),
  );
}

const list = (value) => (Array.isArray(value) ? value : []);

function target(url, words) {
  const safe = safeAddress(url ?? "");
  return safe ? link(safe, words) : el("span", {}, words);
}

function head(card, press) {
  const source = card.source?.desc;
  const actions = list(card.action_menu?.action_list);
  if (!source && !actions.length) return null;
  const choose = (event) => {
    if (event.target.value) press(event.target.value);
    event.target.value = "";
  };
  const options = [el("option", { value: "" }, card.action_menu?.desc || t("more"))];
  for (const action of actions) options.push(el("option", { value: action.key }, action.text));
  const menu = actions.length > 0 && el("select", { class: "card-menu", "aria-label": t("more"), onchange: choose }, options);
  return el("div", { class: "card-head" }, el("span", { class: "muted" }, source ?? ""), menu);
}

function emphasis({ title, desc }) {
  return el("div", { class: "card-emphasis" }, el("strong", {}, title ?? ""), el("span", { class: "muted" }, desc ?? ""));
}

function picture(url) {
  return el("p", {}, target(url, t("pictureLink")));
}

function pictureText({ title, desc, image_url: image, url }) {
  return el("div", { class: "card-quote" }, el("strong", {}, target(url, title ?? "")), el("p", {}, desc ?? ""), picture(image));
}

function quoteArea({ title, quote_text: text, url }) {
  return el("blockquote", { class: "card-quote" }, title && el("strong", {}, target(url, title)), el("p", {}, text ?? ""));
}

function pairs(value) {
  const rows = list(value).map((part) => {
    const shown = part.type === 1 ? target(part.url, part.value ?? part.url) : (part.value ?? part.userid ?? "");
    return [el("dt", {}, part.keyname ?? ""), el("dd", {}, shown)];
  });
  return rows.length > 0 && el("dl", {}, rows);
}

function choice(part, form) {
  const key = part.question_key ?? "";
  const options = list(part.option_list).map((option) => {
    return el("option", { value: option.id, selected: option.id === part.selected_id }, option.text ?? option.id);
  });
  const select = el("select", { disabled: part.disable === true }, options);
  form.set(key, () => (select.value ? [select.value] : []));
  return el("label", { class: "card-choice" }, el("span", {}, part.title ?? ""), select);
}

let groups = 0; // radio buttons of one card belong together, and no two cards share a name

function boxes(part, form) {
  groups += 1;
  const name = `card-${groups}`;
  const inputs = list(part.option_list).map((option) => {
    const input = el("input", {
      type: part.mode === 1 ? "checkbox" : "radio",
      name,
      value: option.id,
      checked: option.is_checked === true,
      disabled: part.disable === true,
    });
    return [input, el("label", { class: "card-option" }, input, option.text ?? option.id)];
  });
  form.set(part.question_key ?? "", () => inputs.filter(([input]) => input.checked).map(([input]) => input.value));
  return el("div", { class: "card-options", role: "group" }, inputs.map(([, label]) => label));
}

function buttons(card, press) {
  const all = list(card.button_list).map((part) => [part, part.style ?? 1]);
  if (card.submit_button) all.push([card.submit_button, 1]);
  const made = all.map(([part, style]) => {
    if (part.type === 1 && part.url) return target(part.url, part.text ?? "");
    const classes = `card-button style-${[1, 2, 3, 4].includes(style) ? style : 1}`;
    return el("button", { type: "button", class: classes, onclick: () => press(part.key ?? "") }, part.text ?? "");
  });
  return made.length > 0 && el("div", { class: "card-buttons" }, made);
}
