// Drives the official Node SDK: JSON lines on stdin and stdout (see driver.py). First argument: where it is installed.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { WSClient } = createRequire(`${process.argv[2]}/package.json`)("@wecom/aibot-node-sdk");
const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const quiet = { debug() {}, info() {}, warn() {}, error(...words) { process.stderr.write(`${words.join(" ")}\n`); } };
const EVENTS = ["connected", "authenticated", "disconnected", "reconnecting", "message", "event"];
let client = null;

// What the far side must see is deterministic, so large files need not travel through the pipe.
const filled = (size, head = "") => Buffer.concat([Buffer.from(head, "hex"), Buffer.alloc(size, "0123456789abcdef")]).subarray(0, size);

const calls = {
  connect({ options }) {
    client = new WSClient({ logger: quiet, ...options });
    for (const event of EVENTS) client.on(event, (value) => write({ event, value }));
    client.on("error", (error) => write({ event: "error", value: { message: error.message, code: error.code } }));
    client.connect();
  },
  disconnect: () => client.disconnect(),
  replyStream: ({ frame, id, content, finish, items, feedback }) => client.replyStream(frame, id, content, finish, items, feedback),
  // Every text at once: the SDK drops those that find an ack pending, and always sends the last.
  async replyStreamNonBlocking({ frame, id, contents }) {
    const sent = contents.map((text, at) => client.replyStreamNonBlocking(frame, id, text, at === contents.length - 1));
    return (await Promise.all(sent)).filter((ack) => ack === "skipped").length;
  },
  reply: ({ frame, body, cmd }) => client.reply(frame, body, cmd),
  welcome: ({ frame, body }) => client.replyWelcome(frame, body),
  card: ({ frame, card, feedback }) => client.replyTemplateCard(frame, card, feedback),
  update: ({ frame, card, userids }) => client.updateTemplateCard(frame, card, userids),
  send: ({ chatid, body }) => client.sendMessage(chatid, body),
  async upload({ type, filename, size, head }) {
    const data = filled(size, head);
    return { ...(await client.uploadMedia(data, { type, filename })), md5: createHash("md5").update(data).digest("hex") };
  },
  replyMedia: ({ frame, type, id, video }) => client.replyMedia(frame, type, id, video),
  sendMedia: ({ chatid, type, id, video }) => client.sendMediaMessage(chatid, type, id, video),
  async download({ url, key }) {
    const { buffer, filename } = await client.downloadFile(url, key);
    return { filename, size: buffer.length, md5: createHash("md5").update(buffer).digest("hex") };
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { number, call, ...given } = JSON.parse(line);
  try {
    write({ number, result: (await calls[call](given)) ?? null });
  } catch (error) {
    write({ number, error: { message: error.message ?? error.errmsg, errcode: error.errcode } });
  }
});
