// A Call Automation app as anybody would write it: it answers, speaks a menu, takes keys, and transfers ("1") or hangs up (anything else).
// From the environment: ACS_CONNECTION_STRING, TRANSFER_TO (a number). Prints one JSON line for its port and for each thing that happens.
import { createServer } from "node:http";
import { CallAutomationClient, parseCallAutomationEvent } from "@azure/communication-call-automation";

const client = new CallAutomationClient(process.env.ACS_CONNECTION_STRING);
const text = (words) => ({ kind: "textSource", text: words, voiceName: "en-US-NancyNeural" });
const say = (line) => console.log(JSON.stringify(line));
const callers = new Map();
let base = "";

async function ring({ incomingCallContext, from }) {
  const answered = await client.answerCall(incomingCallContext, `${base}/callbacks`, { operationContext: "javascript" });
  const id = answered.callConnectionProperties.callConnectionId;
  callers.set(id, { phoneNumber: from.phoneNumber.value });
  say({ did: "answerCall", id, state: answered.callConnectionProperties.callConnectionState });
}

const handlers = {
  CallConnected: (event, call) => call.getCallMedia().playToAll([text("Welcome.")], { operationContext: "welcome" }),
  PlayCompleted: (event, call, caller) =>
    event.operationContext === "welcome" &&
    call.getCallMedia().startRecognizing(caller, {
      kind: "callMediaRecognizeDtmfOptions",
      playPrompts: [text("Press a key.")],
      maxTonesToCollect: 4,
      stopDtmfTones: ["pound"],
      initialSilenceTimeoutInSeconds: 10,
      operationContext: "menu",
    }),
  RecognizeCompleted: async (event, call, caller) => {
    if (event.dtmfResult.tones[0] !== "one") return call.hangUp(true);
    const target = { phoneNumber: process.env.TRANSFER_TO };
    const result = await call.transferCallToParticipant(target, { transferee: caller, operationContext: "transfer" });
    say({ did: "transferCallToParticipant", operationContext: result.operationContext });
  },
};

async function callback(body) {
  for (const one of JSON.parse(body)) {
    const event = parseCallAutomationEvent([one]);
    const { kind, callConnectionId: id, operationContext, resultInformation, dtmfResult } = event;
    say({ told: kind, id, operationContext, code: resultInformation?.code, subCode: resultInformation?.subCode, dtmfResult });
    await handlers[kind]?.(event, client.getCallConnection(id), callers.get(id));
  }
}

async function events(body, response) {
  for (const { eventType, data } of JSON.parse(body)) {
    if (eventType === "Microsoft.EventGrid.SubscriptionValidationEvent") {
      return response.end(JSON.stringify({ validationResponse: data.validationCode }));
    }
    ring(data).catch(failed);
  }
  response.end();
}

const failed = (error) => say({ error: `${error.name}: ${error.message}` });

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  if (request.url === "/events") return events(body, response);
  response.end();
  callback(body).catch(failed);
}).listen(0, "127.0.0.1", function () {
  base = `http://127.0.0.1:${this.address().port}`;
  say({ listening: base });
});
