// Markdown as WeCom shows it (protocol §15), as DOM nodes. No HTML is ever parsed: what is not Markdown stays text,
// links lead to http and https only, and a picture by address becomes a link, because fetching it would tell its
// owner who reads the chat. Time is linear in the text, whatever the text is.

import { el } from "./dom.js";

const DEPTH = 6; // quotes and lists nested deeper than this are shown as text
const FENCE = /^ {0,3}(`{3,}|~{3,}) *([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+(?=\S)|[ \t]*$)/;

const blank = (line) => line.trim() === "";
const indent = (line) => line.length - line.trimStart().length;

/** Show `text` in `container`. Blocks that have not changed since the last call keep their nodes (and a selection). */
export function show(container, text) {
  const shown = container.shownBlocks ?? [];
  const blocks = parse(text);
  let same = 0;
  while (same < shown.length && same < blocks.length && shown[same] === blocks[same].source) same += 1;
  while (container.childNodes.length > same) container.lastChild.remove();
  for (const block of blocks.slice(same)) container.append(node(block));
  container.shownBlocks = blocks.map((block) => block.source);
}

/** The blocks of a text, each with its `type`, its `source` and what the type needs. */
export function parse(text) {
  return blocksOf(text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n"), 0);
}

function blocksOf(lines, depth) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (blank(lines[at])) {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, depth);
    block.source = `${block.type}\n${lines.slice(at, next).join("\n")}`;
    found.push(block);
    at = next;
  }
  return found;
}

function blockAt(lines, at, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenceAt(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    const text = line.slice(heading[0].length).trimEnd();
    return [{ type: "heading", level: heading[1].length, text: text.replace(/(?:^| )#+$/, "") }, at + 1];
  }
  if (RULE.test(line)) return [{ type: "rule" }, at + 1];
  if (depth < DEPTH && QUOTE.test(line)) {
    let end = at;
    while (end < lines.length && QUOTE.test(lines[end])) end += 1;
    const inner = lines.slice(at, end).map((quoted) => quoted.replace(QUOTE, ""));
    return [{ type: "quote", blocks: blocksOf(inner, depth + 1) }, end];
  }
  if (depth < DEPTH && ITEM.test(line)) return listAt(lines, at, depth);
  return tableAt(lines, at) ?? paragraphAt(lines, at);
}

function fenceAt(lines, at, [, mark, language]) {
  const closing = (line) => line.trim().startsWith(mark) && line.trim().replaceAll(mark[0], "") === "" && indent(line) < 4;
  let end = at + 1;
  while (end < lines.length && !closing(lines[end])) end += 1;
  return [{ type: "code", language: language.trim().split(" ")[0], text: lines.slice(at + 1, end).join("\n") }, end + 1];
}

function listAt(lines, at, depth) {
  const [, lead, first] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(first);
  const items = [];
  let content = 0; // where the text of the current item begins
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    const item = ITEM.exec(line);
    // Two more spaces than the list has are enough for a nested one, as people and models write it.
    if (item && item[1].length < lead.length + 2 && !RULE.test(line)) {
      if (/\d/.test(item[2]) !== ordered || item[1].length + 2 <= lead.length) break;
      content = Math.max(item[0].length, item[1].length + item[2].length + 1);
      items.push([line.slice(content)]);
    } else if (blank(line)) {
      let next = end + 1;
      while (next < lines.length && blank(lines[next])) next += 1;
      const goesOn = next < lines.length && (indent(lines[next]) >= lead.length + 2 || ITEM.test(lines[next]));
      if (!goesOn) break;
      items.at(-1).push("");
    } else if (indent(line) >= lead.length + 2) {
      items.at(-1).push(line.slice(Math.min(indent(line), content)));
    } else if (blank(lines[end - 1]) || startsBlock(line)) {
      break;
    } else {
      items.at(-1).push(line.trimStart());
    }
  }
  const inner = items.map((item) => blocksOf(item, depth + 1));
  return [{ type: "list", ordered, start: parseInt(first, 10) || 0, items: inner }, end];
}

/** A table: its header and the row of dashes are the first two lines of a block, or it is none. */
function tableAt(lines, at) {
  if (!lines[at].includes("|") || at + 1 >= lines.length) return null;
  const head = cells(lines[at]);
  const dashes = cells(lines[at + 1]);
  if (head.length !== dashes.length || !dashes.every((cell) => /^:?-+:?$/.test(cell))) return null;
  if (!lines[at + 1].includes("|")) return null;
  const align = dashes.map((cell) => {
    if (cell.endsWith(":")) return cell.startsWith(":") && cell.length > 1 ? "center" : "right";
    return "left";
  });
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|") && !startsBlock(lines[end])) end += 1;
  const rows = lines.slice(at + 2, end).map(cells);
  return [{ type: "table", align, head, rows }, end];
}

function cells(line) {
  const found = [""];
  const row = line.trim();
  for (let at = 0; at < row.length; at += 1) {
    if (row[at] === "\\" && row[at + 1] === "|") {
      found.push(`${found.pop()}|`);
      at += 1;
    } else if (row[at] === "|") {
      found.push("");
    } else {
      found[found.length - 1] += row[at];
    }
  }
  if (row.startsWith("|")) found.shift();
  if (row.endsWith("|") && !row.endsWith("\\|") && found.length > 1) found.pop();
  return found.map((cell) => cell.trim());
}

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function paragraphAt(lines, at) {
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !startsBlock(lines[end])) end += 1;
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n").trimEnd();
  return [{ type: "paragraph", text }, end];
}

function node(block) {
  switch (block.type) {
    case "heading":
      // The page has its own headings; those of an answer begin below them.
      return el(`h${Math.min(6, block.level + 2)}`, { class: `level-${Math.min(block.level, 4)}` }, inline(block.text));
    case "rule":
      return el("hr");
    case "quote":
      return el("blockquote", {}, block.blocks.map(node));
    case "code":
      return el("pre", { tabindex: "0", "data-language": block.language || null }, el("code", {}, block.text));
    case "list":
      return el(
        block.ordered ? "ol" : "ul",
        { start: block.ordered && block.start !== 1 ? block.start : null },
        block.items.map((item) => el("li", {}, item.map(node))),
      );
    case "table":
      return table(block);
    default:
      return el("p", {}, inline(block.text));
  }
}

function table({ align, head, rows }) {
  const row = (tag, texts) => {
    return el("tr", {}, align.map((side, column) => el(tag, { class: `align-${side}` }, inline(texts[column] ?? ""))));
  };
  const body = el("tbody", {}, rows.map((texts) => row("td", texts)));
  return el("div", { class: "table", tabindex: "0" }, el("table", {}, el("thead", {}, row("th", head)), body));
}

// -- inside a line ----------------------------------------------------------------------------------------------------

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
