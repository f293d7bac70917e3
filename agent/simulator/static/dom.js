// Elements without HTML text: everything that people and bots write goes through text nodes.

/**
 * Create an element. `props` are attributes (null, undefined and false are left out, true is an empty one);
 * `onclick` and the like are listeners; `class` is the class name. Children are nodes, strings or nested lists.
 */
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const PATHS = {
  send: "M3 11.2 20.5 3.5 14 21l-3-7.5z",
  attach: "M20 11.5 12.3 19a4.8 4.8 0 0 1-6.8-6.8L13 4.8a3.2 3.2 0 0 1 4.5 4.5l-7.5 7.5a1.6 1.6 0 0 1-2.3-2.3l6.8-6.7",
  voice: "M12 3.5a2.7 2.7 0 0 1 2.7 2.7v5a2.7 2.7 0 0 1-5.4 0v-5A2.7 2.7 0 0 1 12 3.5zM6.5 11a5.5 5.5 0 0 0 11 0M12 16.5V20.5",
  person: "M12 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM4.5 20a7.5 7.5 0 0 1 15 0",
  group: "M9 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM2.5 19.5a6.5 6.5 0 0 1 13 0M16 5.5a2.7 2.7 0 0 1 0 5.4M18 13.5a6 6 0 0 1 3.5 5.5",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  pause: "M9 5.5v13M15 5.5v13",
  play: "M8 5l11 7-11 7z",
  clear: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7",
  back: "M14.5 5 8 12l6.5 7",
  trace: "M5.5 5h13A1.5 1.5 0 0 1 20 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5v-11A1.5 1.5 0 0 1 5.5 5zM13.5 5v14M16.2 9h1.3M16.2 12h1.3",
  bot: "M7 8h10a3 3 0 0 1 3 3v5a3 3 0 0 1-3 3H7a3 3 0 0 1-3-3v-5a3 3 0 0 1 3-3zM12 8V4.5M9 12.5v2M15 12.5v2",
  quote: "M9.5 8 5 12l4.5 4M5 12h9a5 5 0 0 1 5 5v1.5",
  like: "M7.5 11v8.5H4.5V11zM7.5 11l3.5-7a2.2 2.2 0 0 1 2.2 2.6L12.7 10h5a1.8 1.8 0 0 1 1.8 2.2l-1.5 6a1.8 1.8 0 0 1-1.8 1.3H7.5",
  dislike: "M7.5 13V4.5H4.5V13zM7.5 13l3.5 7a2.2 2.2 0 0 0 2.2-2.6L12.7 14h5a1.8 1.8 0 0 0 1.8-2.2l-1.5-6a1.8 1.8 0 0 0-1.8-1.3H7.5",
  file: "M7 3.5h7l4.5 4.5v12.5H7zM14 3.5V8h4.5",
  door: "M13.5 4.5H18a1.5 1.5 0 0 1 1.5 1.5v12a1.5 1.5 0 0 1-1.5 1.5h-4.5M4.5 12h10M11 8.5l3.5 3.5-3.5 3.5",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "M6 9.5l6 5.5 6-5.5",
  globe: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17",
};

/** A line icon, 1em square, hidden from screen readers: the button around it has the name. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and a name that is spoken and shown as a tip. */
export function iconButton(name, label, onclick, more = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...more }, icon(name));
}
