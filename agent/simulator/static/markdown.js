// Markdown as WeCom shows it (protocol §15), as DOM nodes. No HTML is ever parsed: what is not Markdown stays text,
// links lead to http and https only, and a picture by address becomes a link, because fetching it would tell its
// owner who reads the chat. Time is linear in the text, whatever the text is.

import { el } from "./dom.js";
import { inline } from "./inline.js";

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
