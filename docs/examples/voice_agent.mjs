// A voice agent of your own, behind Patchcord's protocol voice-agent.v1 (docs/voice-agent.md): no model, only its manners.
// It greets with a tone and says back what it hears. A key is a beep; keys that end with # are looked up as an order number
// by the tool `lookup_order`; 0 hands over to a person. Run (Node 20): npm install ws; AGENT_KEY=secret node voice_agent.mjs 8765
import { timingSafeEqual, createHash } from "node:crypto";
import { WebSocketServer } from "ws";

const KEY = process.env.AGENT_KEY ?? ""; // the bearer token that only your gateway knows
const LOUD = 2000;
const PAUSE_MS = 600;

const digest = (text) => createHash("sha256").update(text).digest();
const letIn = ({ req }) => !KEY || timingSafeEqual(digest(req.headers.authorization ?? ""), digest(`Bearer ${KEY}`));

function tone(rate, hz, ms) {
  const wave = Buffer.alloc(2 * Math.floor((rate * ms) / 1000));
  for (let n = 0; n < wave.length / 2; n++) wave.writeInt16LE(Math.trunc(6000 * Math.sin((2 * Math.PI * hz * n) / rate)), 2 * n);
  return wave;
}

function isLoud(samples) {
  let [low, high] = [0, 0];
  for (let at = 0; at < samples.length; at += 2) {
    const value = samples.readInt16LE(at);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return high - low > LOUD;
}

function talk(socket) {
  let [rate, number, keys, words, quietMs] = [0, 0, "", [], 0];
  const send = (type, fields) => socket.send(JSON.stringify({ type, ...fields }));
  const speak = (text, audio) => {
    const turn = `t${++number}`;
    send("turn", { turn });
    send("transcript", { who: "agent", text, turn });
    for (let at = 0; at < audio.length; at += 96_000) socket.send(audio.subarray(at, at + 96_000)); // 256 KiB at most
    send("turnEnd", { turn });
  };
  const hear = (audio) => {
    const loud = isLoud(audio);
    if (loud && !words.length) send("speechStarted");
    if (loud || words.length) {
      words.push(audio);
      quietMs = loud ? 0 : quietMs + (1000 * audio.length) / 2 / rate;
    }
    if (quietMs < PAUSE_MS) return;
    send("speechStopped");
    speak("(what you said)", Buffer.concat(words));
    [words, quietMs] = [[], 0];
  };
  const handlers = {
    start: ({ codec, greeting, resumed }) => {
      if (!codec.startsWith("pcm16/")) return send("error", { code: "codec", message: "only pcm16", fatal: true });
      rate = Number(codec.split("/")[1]);
      send("ready", { codec });
      if (!resumed) speak(greeting || "Hello.", tone(rate, 440, 400));
    },
    dtmf: ({ digits }) => {
      keys += digits;
      send("interrupt");
      if (keys === "0") {
        speak("I am connecting you.", tone(rate, 660, 300));
        send("end", { outcome: "AGENT", reason: "asked_for_human", target: "human" });
      } else if (keys.endsWith("#")) {
        send("toolCall", { callId: `c${++number}`, name: "lookup_order", arguments: { order_number: keys.slice(0, -1) } });
        keys = "";
      } else speak(`You pressed ${digits}.`, tone(rate, 880, 120));
    },
    toolResult: ({ output }) => speak(JSON.stringify(output), tone(rate, 550, 300)),
    say: ({ text }) => speak(text, tone(rate, 330, 300)),
    text: ({ text }) => speak(text, tone(rate, 330, 300)),
  };
  socket.on("message", (data, isBinary) => {
    if (isBinary) return hear(data);
    const message = JSON.parse(data);
    handlers[message.type]?.(message);
  });
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2] ?? 8765),
  handleProtocols: (offered) => offered.has("voice-agent.v1") && "voice-agent.v1",
  verifyClient: letIn,
  maxPayload: 262_144,
});
server.on("connection", talk);
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
