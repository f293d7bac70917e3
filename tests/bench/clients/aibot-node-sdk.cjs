// The bench's client on the npm package @wecom/aibot-node-sdk; does what orders.py says for the Python ones.

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { WSClient, generateReqId } = require("@wecom/aibot-node-sdk");

const ANSWER = Array.from(fs.readFileSync(path.join(__dirname, "answer.txt"), "utf8").trim());
const prepared = new Map();

function contents(count) {
  if (!prepared.has(count)) {
    const size = (number) => Math.max(1, Math.floor((ANSWER.length * (number + 1)) / count));
    prepared.set(count, Array.from({ length: count }, (_, number) => ANSWER.slice(0, size(number)).join("")));
  }
  return prepared.get(count);
}

const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const [wsUrl, botId] = process.argv.slice(2);
const client = new WSClient({ botId, secret: "secret", wsUrl, logger });

client.on("message.text", async (frame) => {
  const texts = contents(Number(frame.body.text.content));
  const streamId = generateReqId("stream");
  for (const text of texts) await client.replyStream(frame, streamId, text, false);
  await client.replyStream(frame, streamId, texts.at(-1), true);
});

async function follow(order) {
  if (order.do === "download") return (await client.downloadFile(order.url, order.key)).buffer.length;
  await client.uploadMedia(fs.readFileSync(order.path), { type: "file", filename: path.basename(order.path) });
  return order.size;
}

readline
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const began = performance.now();
    try {
      const size = await follow(JSON.parse(line));
      console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, size }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error).slice(0, 200) }));
    }
  })
  .on("close", () => process.exit(0));

client.connect();
