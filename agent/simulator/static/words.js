// Everything that the page itself says, in Chinese and English. The language follows the browser until one is chosen.

const WORDS = {
  title: ["企业微信机器人演练场", "WeCom bot playground"],
  language: ["Switch to English", "切换到中文"],
  languageShort: ["EN", "中"],
  chats: ["会话", "Chats"],
  newChat: ["新建会话", "New chat"],
  single: ["单聊", "Single chat"],
  group: ["群聊", "Group"],
  noChats: ["还没有会话", "No chats yet"],
  noChatsHint: ["新建一个人或一个群，就能和机器人说话。", "Create a person or a group to talk to the bot."],
  pick: ["选一个会话开始", "Pick a chat to begin"],
  back: ["返回会话列表", "Back to the chats"],
  members: ["{0} 人", "{0} people"],
  enter: ["进入会话", "Enter chat"],
  enterTip: ["发出 enter_chat 事件：今天第一次打开会话", "Send the enter_chat event: the chat is opened for the first time today"],
  entered: ["已发出 enter_chat 事件", "enter_chat event sent"],
  messages: ["消息", "Messages"],
  empty: ["还没有消息，说点什么吧。", "No messages yet. Say something."],
  emptyHint: ["试试 “演示”、“想一想”、“表格”，或者粘贴一张图片。", "Try “help”, “think”, “table”, or paste a picture."],
  newest: ["最新消息", "Newest messages"],
  message: ["消息内容", "Message"],
  placeholder: ["发消息给 {0}（Enter 发送，Shift+Enter 换行）", "Message {0} (Enter sends, Shift+Enter breaks the line)"],
  placeholderShort: ["发消息", "Message"],
  send: ["发送", "Send"],
  attach: ["添加图片或文件", "Add pictures or files"],
  voice: ["以语音发送（机器人收到的是转写文字）", "Send as voice (the bot gets the transcript)"],
  speaker: ["发言人", "Speaker"],
  mention: ["@机器人", "@ the bot"],
  mentionTip: ["不 @ 机器人的群消息不会送达机器人", "Group messages that do not @ the bot never reach it"],
  drop: ["松开以添加文件", "Drop to add files"],
  remove: ["移除 {0}", "Remove {0}"],
  quote: ["引用", "Quote"],
  quoting: ["引用 {0}：", "Quoting {0}: "],
  cancelQuote: ["取消引用", "Cancel the quote"],
  bot: ["机器人", "Bot"],
  thinking: ["思考中", "Thinking"],
  thought: ["思考过程", "Thoughts"],
  growing: ["正在回答", "answering"],
  stuck: ["一直没有结束：用户看到的是永远转圈", "never finished: the person sees an endless animation"],
  frames: ["{0} 帧", "frames: {0}"],
  like: ["回答得好", "Good answer"],
  dislike: ["回答不好", "Bad answer"],
  feedbackTitle: ["哪里不好？", "What was wrong?"],
  feedbackText: ["补充说明（可不填）", "More words (optional)"],
  reason1: ["与问题无关", "unrelated"],
  reason2: ["不完整", "incomplete"],
  reason3: ["内容错误", "wrong content"],
  reason4: ["数据分析错误", "wrong data analysis"],
  submit: ["提交", "Submit"],
  cancel: ["取消", "Cancel"],
  create: ["创建", "Create"],
  download: ["下载", "Download"],
  image: ["图片", "Picture"],
  file: ["文件", "File"],
  video: ["视频", "Video"],
  voiceKind: ["语音", "Voice"],
  mixed: ["图文", "Text and pictures"],
  card: ["卡片", "Card"],
  more: ["更多", "More"],
  pictureLink: ["查看图片", "View the picture"],
  open: ["打开", "Open"],
  undelivered: ["没有送达机器人：{0}", "Not delivered to the bot: {0}"],
  failed: ["没有成功：{0}", "That failed: {0}"],
  unreachable: ["连不上模拟器", "the simulator cannot be reached"],
  tooLarge: ["{0} 超过 {1}", "{0} is larger than {1}"],
  kind: ["类型", "Kind"],
  personId: ["成员 ID（userid）", "Member ID (userid)"],
  groupTitle: ["群名", "Group name"],
  groupMembers: ["成员（userid，用逗号分隔）", "Members (userids, separated by commas)"],
  trace: ["帧", "Frames"],
  traceShow: ["显示帧", "Show frames"],
  traceHide: ["隐藏帧", "Hide frames"],
  filter: ["过滤：命令、req_id、内容", "Filter: command, req_id, content"],
  filterLabel: ["过滤帧", "Filter the frames"],
  pings: ["心跳", "Pings"],
  pingsTip: ["显示心跳帧", "Show heartbeat frames"],
  pause: ["暂停", "Pause"],
  resume: ["继续", "Resume"],
  paused: ["已暂停，新到 {0} 帧", "Paused; {0} new frames"],
  clear: ["清空列表", "Clear the list"],
  noFrames: ["还没有帧", "No frames yet"],
  noMatch: ["没有符合条件的帧", "No frame matches"],
  fromBot: ["机器人发出", "from the bot"],
  toBot: ["发给机器人", "to the bot"],
  ack: ["应答", "ack"],
  violation: ["违规", "Violation"],
  violations: ["{0} 条违规", "Violations: {0}"],
  violationsTip: ["只看违反协议的帧", "Show only what breaks the protocol"],
  bytes: ["{0} 字节", "{0} bytes"],
  connecting: ["正在连接模拟器…", "Connecting to the simulator…"],
  lost: ["与模拟器的连接断开，{0} 秒后重连", "The connection to the simulator was lost; trying again in {0} s"],
  retry: ["立即重连", "Try now"],
  subscribed: ["已订阅", "subscribed"],
  connected: ["已连接，尚未订阅", "connected, not subscribed"],
  displaced: ["被另一个实例挤下线", "displaced by another instance"],
  gone: ["未连接", "not connected"],
  unknown: ["未知", "unknown"],
  botGone: ["机器人没有连上：现在发的消息它收不到，也不会补发。", "The bot is not connected: what you send now never reaches it."],
  botConnected: ["机器人已连接，但还没有订阅。", "The bot is connected but has not subscribed yet."],
  botDisplaced: ["机器人被另一个实例挤下线了。", "The bot was displaced by another instance."],
};

const KEY = "playground.language";
let language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? 0 : 1);

function remembered() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === null ? null : Number(kept) ? 1 : 0;
  } catch {
    return null; // storage is switched off
  }
}

/** The words for `key`, with `{0}`, `{1}` … replaced. */
export function t(key, ...values) {
  return WORDS[key][language].replace(/\{(\d)\}/g, (_, number) => String(values[number] ?? ""));
}

/** The language tag for the document and for dates. */
export const tag = () => (language ? "en" : "zh-CN");

export function switchLanguage() {
  language = language ? 0 : 1;
  try {
    localStorage.setItem(KEY, String(language));
  } catch {
    // storage is switched off: the choice lasts as long as the page
  }
}

/** A time of day, with the date when it is not today's. `seconds` are Unix seconds. */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  const day = date.toDateString() === new Date().toDateString() ? {} : { month: "numeric", day: "numeric" };
  return date.toLocaleString(tag(), { ...day, hour: "2-digit", minute: "2-digit", hour12: false });
}

export function size(bytes) {
  if (bytes < 1024) return t("bytes", bytes);
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
