// The page's line to the simulator: requests to the control API, and the live feed with its own reconnects.

// The token of a page that is served beyond loopback comes in the page's address and goes out of sight at once; a
// cookie takes its place for reloads, and the copy here serves where cookies are refused.
const token = new URLSearchParams(location.search).get("token");
if (token) history.replaceState(null, "", location.pathname);

/** An address of the simulator, with the token when there is one. */
export function address(path) {
  if (!token) return path;
  return `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}`;
}

/** The JSON answer of the control API. Throws an Error whose message can be shown. */
export async function call(method, path, body) {
  const form = body instanceof FormData;
  const response = await fetch(address(path), {
    method,
    headers: body && !form ? { "Content-Type": "application/json" } : {},
    body: form || !body ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = null; // a proxy's page, say
  }
  if (!response.ok) throw new Error(answer?.error?.message ?? answer?.error ?? (text.slice(0, 200) || `HTTP ${response.status}`));
  return answer;
}

const PAUSES = [0.5, 1, 2, 4, 8]; // seconds before each new try

/** The live feed: `onEvent(event)` for each, `onState(open, seconds)` when it opens, is lost, or counts down. */
export class Feed {
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.tries = 0;
    this.timer = 0;
    this.open();
  }

  open() {
    clearInterval(this.timer);
    const url = new URL(address("/api/live"), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      this.tries = 0;
      this.onEvent(JSON.parse(data));
    };
    socket.onopen = () => this.onState(true, 0);
    socket.onclose = () => {
      if (socket === this.socket) this.wait();
    };
  }

  wait() {
    let seconds = PAUSES[Math.min(this.tries, PAUSES.length - 1)];
    this.tries += 1;
    this.onState(false, Math.ceil(seconds));
    this.timer = setInterval(() => {
      seconds -= 1;
      if (seconds <= 0) this.open();
      else this.onState(false, Math.ceil(seconds));
    }, Math.min(seconds, 1) * 1000);
  }

  /** Try at once, whatever the countdown says. */
  retry() {
    clearInterval(this.timer);
    this.open();
  }
}
