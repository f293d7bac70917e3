// What a person does, as requests to the control API. Each answers with what became of it: {delivered, why, …}.

import { call } from "./line.js";

const PICTURE = /^image\/(png|jpeg|gif|webp)$/;

const chatPath = (chat, deed) => `/api/chats/${encodeURIComponent(chat.id)}/${deed}`;
const messagePath = (message, deed) => `/api/messages/${encodeURIComponent(message.id)}/${deed}`;

/** Send what was composed, as WeCom would cut it: pictures travel with the text, everything else alone. */
export async function send(chat, user, { text, files, quote, mention, voice }) {
  const pictures = files.filter((file) => PICTURE.test(file.type));
  const sent = [];
  for (const file of files.filter((other) => !pictures.includes(other))) {
    const kind = file.type.startsWith("video/") ? "video" : "file";
    sent.push(await post(chat, { user, kind, quote, mention }, [file]));
  }
  if (pictures.length) {
    const alone = pictures.length === 1 && !text && chat.type === "single";
    sent.push(await post(chat, { user, kind: alone ? "image" : "mixed", text, quote, mention }, pictures));
  } else if (voice) {
    sent.push(await post(chat, { user, kind: "voice", text, quote, mention }, []));
  } else if (text) {
    sent.push(await call("POST", chatPath(chat, "say"), { user, text, quote, mention }));
  }
  return sent;
}

function post(chat, fields, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null) form.append(name, String(value));
  for (const file of files) form.append("files", file, file.name);
  return call("POST", chatPath(chat, "send"), form);
}

export function enter(chat, user) {
  return call("POST", chatPath(chat, "enter"), { user });
}

export function rate(message, user, type, content, reasons) {
  return call("POST", messagePath(message, "feedback"), { user, type, content, reasons });
}

export function click(message, user, key, selected) {
  return call("POST", messagePath(message, "click"), { user, key, selected });
}
