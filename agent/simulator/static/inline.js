// The text inside a block of Markdown: emphasis, code, links (protocol §15). Links lead to http and https only.

import { el } from "./dom.js";

const AUTOLINK = /<(https?:\/\/[^\s<>]+)>/y;
const BARE = /https?:\/\/[^\s<>"'`“”‘’（）()，。；：、！？《》【】「」]+/y;
const TARGET = /\(\s*(?:<([^<>\n]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*\)/y;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}_]/u;
const NESTED = 16; // emphasis nested deeper than this is shown as text

/** `address` if it is one that a link may lead to, else null. */
export function safeAddress(address) {
  if (!/^https?:\/\//i.test(address)) return null;
  try {
    return new URL(address).href;
  } catch {
    return null;
  }
}

/** A link that leads away from the page and tells the other side nothing about it. */
export function link(address, ...children) {
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

function at(pattern, text, position) {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

/** The nodes of a paragraph's text. `linked`: inside a link, where another link is not one. */
export function inline(text, linked = false) {
  const line = new Line();
  const brackets = matchBrackets(text);
  const openTicks = new Set(); // lengths of backtick runs that nothing closes from here on
  let position = 0;
  while (position < text.length) {
    const char = text[position];
    let found = null; // [node, next position]
    if (char === "\\" && PUNCTUATION.test(text[position + 1] ?? "")) {
      line.text(text[position + 1]);
      position += 2;
      continue;
    }
    if (char === "\n") found = [el("br"), position + 1];
    else if (char === "`") found = codeAt(text, position, openTicks);
    else if (!linked && (char === "[" || char === "!")) found = linkAt(text, position, brackets);
    else if (!linked && (char === "<" || char === "h")) found = addressAt(text, position);
    if (found) {
      line.node(found[0]);
      position = found[1];
    } else if (char === "*" || char === "_" || char === "~" || char === "`") {
      let end = position + 1;
      while (text[end] === char) end += 1;
      if (char === "`") line.text(text.slice(position, end));
      else line.run(char, end - position, text[position - 1] ?? " ", text[end] ?? " ");
      position = end;
    } else {
      line.text(char);
      position += 1;
    }
  }
  return line.nodes();
}

function matchBrackets(text) {
  const open = [];
  const pairs = new Map();
  for (let position = 0; position < text.length; position += 1) {
    if (text[position] === "\\") position += 1;
    else if (text[position] === "[") open.push(position);
    else if (text[position] === "]" && open.length) pairs.set(open.pop(), position);
  }
  return pairs;
}

function codeAt(text, position, openTicks) {
  let start = position;
  while (text[start] === "`") start += 1;
  const length = start - position;
  if (openTicks.has(length)) return null;
  for (let end = text.indexOf("`", start); end >= 0; ) {
    let after = end;
    while (text[after] === "`") after += 1;
    if (after - end === length) {
      const code = text.slice(start, end).replaceAll("\n", " ");
      const padded = code.startsWith(" ") && code.endsWith(" ") && code.trim();
      return [el("code", {}, padded ? code.slice(1, -1) : code), after];
    }
    end = text.indexOf("`", after);
  }
  openTicks.add(length);
  return null;
}

function linkAt(text, position, brackets) {
  const picture = text[position] === "!";
  const open = position + (picture ? 1 : 0);
  const close = brackets.get(open);
  if (close === undefined) return null;
  const target = at(TARGET, text, close + 1);
  const address = target && safeAddress(target[1] ?? target[2] ?? "");
  if (!address) return null;
  const label = text.slice(open + 1, close);
  const children = picture ? [label || address] : inline(label, true);
  const made = link(address, ...(children.length ? children : [address]));
  if (picture) made.className = "picture-link";
  return [made, TARGET.lastIndex];
}

function addressAt(text, position) {
  const angled = at(AUTOLINK, text, position);
  if (angled) {
    const address = safeAddress(angled[1]);
    return address && [link(address, angled[1]), AUTOLINK.lastIndex];
  }
  if (position > 0 && /[A-Za-z0-9_]/.test(text[position - 1])) return null;
  const bare = at(BARE, text, position);
  if (!bare) return null;
  const shown = bare[0].replace(/[.,;:!?*_~|\]]{1,9}$/, "");
  const address = safeAddress(shown);
  return address && [link(address, shown), position + shown.length];
}

/** What a line holds so far. Runs of `*`, `_` and `~` wait in it until something closes them, or stay text. */
class Line {
  constructor() {
    this.items = []; // {node, depth} | {text} | {char, count}
    this.openers = { "*": [], _: [], "~": [] }; // positions in items
  }

  text(text) {
    const last = this.items.at(-1);
    if (last?.text !== undefined) last.text += text;
    else this.items.push({ text });
  }

  node(made, depth = 0) {
    this.items.push({ node: made, depth });
  }

  run(char, count, before, after) {
    let opens = !/\s/.test(after);
    let closes = !/\s/.test(before);
    if (char === "_") {
      // snake_case_names are no emphasis.
      if (WORD.test(before)) opens = false;
      if (WORD.test(after)) closes = false;
    }
    while (closes && count > 0) {
      const used = this.close(char, count);
      if (!used) break;
      count -= used;
    }
    if (count === 0) return;
    if (opens && (char !== "~" || count >= 2)) {
      this.openers[char].push(this.items.length);
      this.items.push({ char, count });
    } else {
      this.text(char.repeat(count));
    }
  }

  /** Close the nearest opener with at most `count` characters; how many were used. */
  close(char, count) {
    const position = this.openers[char].at(-1);
    if (position === undefined) return 0;
    const opener = this.items[position];
    const used = opener.count >= 2 && count >= 2 ? 2 : 1;
    if (char === "~" && used < 2) return 0;
    const inner = this.items.slice(position + 1);
    const depth = 1 + Math.max(0, ...inner.slice(0, 1000).map((item) => item.depth ?? 0));
    if (depth > NESTED) return 0;
    this.items.length = position + 1;
    for (const stack of Object.values(this.openers)) while (stack.at(-1) > position) stack.pop();
    opener.count -= used;
    if (opener.count === 0) {
      this.items.pop();
      this.openers[char].pop();
    }
    const tag = char === "~" ? "del" : used === 2 ? "strong" : "em";
    this.node(el(tag, {}, inner.map(plain)), depth);
    return used;
  }

  nodes() {
    return this.items.map(plain);
  }
}

function plain(item) {
  return item.node ?? item.text ?? item.char.repeat(item.count);
}
