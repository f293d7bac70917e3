// The frames between bot and gateway, newest last: live, filtered, paused, opened to their JSON.

import { el, icon } from "./dom.js";
import { t } from "./words.js";

const KEPT = 2000; // frames in memory
const SHOWN = 400; // rows in the list

export class Trace {
  constructor() {
    this.entries = [];
    this.violations = 0;
    this.seen = 0; // the newest sequence number
    this.missed = 0; // frames that came while paused
    this.paused = false;
    this.stale = false;
    this.open = new Set(); // rows that are unfolded
    this.pings = new Set(); // req_ids of pings whose ack is still to come: an ack names no command
    this.wanted = { text: "", pings: false, violations: false };
    this.rows = el("ol", { class: "frames", tabindex: "0" });
    this.rows.addEventListener("scroll", () => (this.pinned = atEnd(this.rows)));
    this.pinned = true;
    this.node = el("section", { class: "trace", id: "trace" });
    this.render();
  }

  /** Build the pane anew, in the language of the moment. */
  render() {
    this.filter = el("input", {
      type: "search",
      placeholder: t("filter"),
      "aria-label": t("filterLabel"),
      value: this.wanted.text,
      oninput: () => this.want({ text: this.filter.value }),
    });
    const pings = el("input", { type: "checkbox", checked: this.wanted.pings, onchange: () => this.want({ pings: pings.checked }) });
    this.badge = el("button", { type: "button", class: "badge", title: t("violationsTip"), onclick: () => this.toggleViolations() });
    this.pauseButton = el("button", { type: "button", class: "icon-button", onclick: () => this.pause(!this.paused) });
    const clear = el("button", { type: "button", class: "icon-button", "aria-label": t("clear"), title: t("clear") }, icon("clear"));
    clear.addEventListener("click", () => this.clear());
    this.rows.setAttribute("aria-label", t("trace"));
    this.status = el("p", { class: "trace-status", role: "status" });
    this.node.setAttribute("aria-label", t("trace"));
    this.node.replaceChildren(
      el("header", { class: "pane-head" }, el("h2", {}, t("trace")), this.badge, this.pauseButton, clear),
      el("div", { class: "trace-tools" }, this.filter, el("label", { title: t("pingsTip") }, pings, t("pings"))),
      this.rows,
      this.status,
    );
    this.pause(this.paused);
  }

  want(wish) {
    Object.assign(this.wanted, wish);
    this.draw();
  }

  toggleViolations() {
    this.want({ violations: !this.wanted.violations });
  }

  pause(paused) {
    this.paused = paused;
    this.missed = 0;
    const words = t(paused ? "resume" : "pause");
    this.pauseButton.setAttribute("aria-label", words);
    this.pauseButton.title = words;
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    this.pauseButton.replaceChildren(icon(paused ? "play" : "pause"));
    this.draw();
  }

  clear() {
    this.entries = [];
    this.open.clear();
    this.missed = 0;
    this.draw();
  }

  /** Add a frame of the gateway's trace; one that is known already is left out. */
  add(entry) {
    if (entry.seq <= this.seen) return;
    this.seen = entry.seq;
    let ping = entry.cmd === "ping";
    if (ping) this.pings.add(entry.req_id);
    else if (!entry.cmd) ping = this.pings.delete(entry.req_id);
    this.push({ ...entry, ping, key: `f${entry.seq}` });
  }

  /** Add a violation; it stands behind the frame that was newest when it was noticed. */
  violate(violation) {
    this.violations += 1;
    this.push({ ...violation, key: `v${this.violations}`, violation: true });
  }

  /** Begin anew: the simulator was started again, so its numbers do too. */
  reset() {
    this.seen = 0;
    this.violations = 0;
    this.pings.clear();
    this.clear();
  }

  push(entry) {
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.open.delete(this.entries.shift().key);
    if (this.paused) this.missed += 1;
    this.later();
  }

  /** Draw once for many frames. A hidden tab draws when it is looked at. */
  later() {
    if (this.stale) return;
    this.stale = true;
    requestAnimationFrame(() => {
      this.stale = false;
      if (this.paused) this.showStatus();
      else this.draw();
    });
  }

  matches(entry) {
    if (this.wanted.violations) return entry.violation === true;
    if (!this.wanted.pings && entry.ping) return false;
    const text = this.wanted.text.trim().toLowerCase();
    if (!text) return true;
    const words = entry.violation ? [entry.rule, entry.detail] : [entry.cmd, entry.req_id, entry.text, entry.note];
    return words.some((word) => word && word.toLowerCase().includes(text));
  }

  draw() {
    const wanted = this.entries.filter((entry) => this.matches(entry)).slice(-SHOWN);
    const rows = new Map([...this.rows.children].map((row) => [row.dataset.key, row]));
    const nodes = wanted.map((entry) => rows.get(entry.key) ?? this.row(entry));
    const same = nodes.length === this.rows.children.length && nodes.every((node, at) => node === this.rows.children[at]);
    if (!same) {
      const keep = new Set(nodes);
      for (const row of [...this.rows.children]) if (!keep.has(row)) row.remove();
      // Rows only ever join at the end or, when a filter is lifted, between others: the order of `nodes` decides.
      nodes.forEach((node, at) => {
        if (this.rows.children[at] !== node) this.rows.insertBefore(node, this.rows.children[at] ?? null);
      });
      if (this.pinned) this.rows.scrollTop = this.rows.scrollHeight;
    }
    this.showStatus();
  }

  showStatus() {
    this.badge.hidden = this.violations === 0;
    this.badge.textContent = t("violations", this.violations);
    this.badge.setAttribute("aria-pressed", String(this.wanted.violations));
    if (this.paused) this.status.textContent = t("paused", this.missed);
    else if (this.rows.children.length === 0) this.status.textContent = t(this.entries.length ? "noMatch" : "noFrames");
    else this.status.textContent = "";
  }

  row(entry) {
    const row = el("li", { class: entry.violation ? "frame violation" : `frame ${entry.direction}` });
    row.dataset.key = entry.key;
    const open = this.open.has(entry.key);
    const button = el("button", { type: "button", class: "frame-head", "aria-expanded": String(open) });
    button.append(...(entry.violation ? violationWords(entry) : frameWords(entry)));
    const unfold = () => {
      const opens = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(opens));
      if (opens) {
        this.open.add(entry.key);
        row.append(detail(entry));
      } else {
        this.open.delete(entry.key);
        row.lastChild.remove();
      }
    };
    button.addEventListener("click", unfold);
    row.append(button);
    if (open) row.append(detail(entry));
    return row;
  }
}

function atEnd(node) {
  return node.scrollHeight - node.scrollTop - node.clientHeight < 24;
}

function time(seconds) {
  const date = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}

const ACK_OF = "ack of "; // how the gateway notes an ack that is no refusal

/** What kind of frame this is: the type of a message or event, the end of a stream, the command that an ack answers. */
export function gist({ cmd, text, note }) {
  const value = (name) => new RegExp(`"${name}"\\s*:\\s*"?([\\w-]+)`).exec(text)?.[1] ?? "";
  if (!cmd) return note.startsWith(ACK_OF) ? short(note.slice(ACK_OF.length)) : "";
  const type = value("eventtype") || value("msgtype");
  return type === "stream" && value("finish") === "true" ? `${type} finish` : type;
}

// Nearly all commands begin alike; the whole name stands in the frame and in the tip.
const short = (cmd) => cmd.replace(/^aibot_/, "");

function frameWords(entry) {
  const { at, direction, cmd, req_id: id, size, note, conn } = entry;
  const out = direction === "out";
  const words = gist(entry);
  const arrow = el("span", { class: "arrow", title: t(out ? "fromBot" : "toBot") }, out ? "↑" : "↓");
  return [
    el("time", {}, time(at)),
    arrow,
    el("span", { class: cmd ? "cmd" : "cmd ack", title: cmd || null }, short(cmd) || t("ack"), words && el("span", { class: "gist" }, ` ${words}`)),
    el("span", { class: "size", title: t("bytes", size) }, size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} K`),
    el("span", { class: "id" }, `#${conn} ${id || "—"}`),
    note && !(words && !cmd) && el("span", { class: "note" }, note),
  ].filter(Boolean);
}

function violationWords({ at, rule, section, detail: words }) {
  return [
    el("time", {}, time(at)),
    el("span", { class: "arrow" }, "!"),
    el("span", { class: "cmd" }, `${t("violation")}: ${rule}`),
    el("span", { class: "size" }, `§${section}`),
    el("span", { class: "note" }, words),
  ];
}

function detail(entry) {
  return el("pre", { class: "frame-json", tabindex: "0" }, entry.violation ? violationText(entry) : pretty(entry.text));
}

function violationText({ rule, section, detail: words, conn }) {
  return `${rule} (protocol §${section}, #${conn})\n${words}`;
}

/** JSON with line breaks and indentation. Works on a frame that was cut short, which JSON.parse would refuse. */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  let out = "";
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      out += char;
      if (char === "\\" && at + 1 < text.length) out += text[(at += 1)];
      else if (char === '"') quoted = false;
    } else if (char === '"') {
      quoted = true;
      out += char;
    } else if (char === "{" || char === "[") {
      const closes = text[at + 1] === "}" || text[at + 1] === "]";
      if (closes) out += char + text[(at += 1)];
      else out += `${char}\n${"  ".repeat(Math.min((depth += 1), 20))}`;
    } else if (char === "}" || char === "]") {
      depth = Math.max(0, depth - 1);
      out += `\n${"  ".repeat(Math.min(depth, 20))}${char}`;
    } else if (char === ",") {
      out += `,\n${"  ".repeat(Math.min(depth, 20))}`;
    } else if (char === ":") {
      out += ": ";
    } else if (!/\s/.test(char)) {
      out += char;
    }
  }
  return out;
}
