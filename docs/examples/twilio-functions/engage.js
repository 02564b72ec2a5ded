/*
 * Twilio Function /engage: a call goes to the voice agent.
 *
 * For a direct number: "A call comes in" -> Function -> this service, this function.
 * For a Studio flow: a TwiML Redirect widget with the URL
 *     https://DOMAIN_NAME/engage?FlowEvent=return&FlowSid={{flow.flow_sid}}
 *
 * Further parameters of the URL whose names begin with a small letter go to the agent. These have a meaning:
 *     customerId, taskName, externalConversationId; all others become input variables (&accountTier=gold).
 *
 * Set its visibility to Protected: then Twilio itself refuses requests that it has not signed.
 *
 * Dependency: axios. Environment:
 *     ASAPP_API_HOST    address of the gateway, such as https://voice.example.com
 *     ASAPP_API_ID      API credentials with the scope `twilio` (and `call-transfers`, for the other two functions)
 *     ASAPP_API_SECRET
 *     DOMAIN_NAME       set by Twilio
 *     HUMAN_NUMBER      optional: who is called when no agent can be had
 *     STUDIO_RETURN_URL optional: the flow's webhook with FlowEvent=return, when the URL has no FlowSid
 */
const axios = require('axios');

const STREAM_URL_PATH = '/mg-genagent/v1/twilio-media-stream-url';
const TIMEOUT_MS = 5000; // a Function may take 10 s in all
const MAX_PARAMETER = 500; // characters of a name and its value together
const MEANT = new Map([
  ['callTransferId', 'asapp_callTransferId'],
  ['externalConversationId', 'asapp_externalConversationId'],
]);

exports.handler = async function (context, event, callback) {
  const response = new Twilio.twiml.VoiceResponse();
  const back = returnAddress(context, event);
  try {
    const url = await streamUrl(context, event.CallSid);
    const connect = response.connect(back === null ? { action: ownAddress(context, '/call-complete') } : {});
    const stream = connect.stream({ url });
    for (const [name, value] of agentParameters(event)) {
      stream.parameter({ name, value });
    }
  } catch (error) {
    console.error('no stream for the call:', reason(error));
    response.say('We are sorry, we have a technical problem.');
    if (back === null && context.HUMAN_NUMBER) {
      response.dial(context.HUMAN_NUMBER);
    }
  }
  if (back) {
    response.redirect({ method: 'POST' }, back); // in a flow: it goes on, and asks /transfer-state
  }
  callback(null, response);
};

/* The address for this call's audio; it is good for five minutes, and for this call only. */
async function streamUrl(context, callSid) {
  const answer = await axios.get(context.ASAPP_API_HOST + STREAM_URL_PATH, {
    params: { callSid },
    headers: { 'asapp-api-id': context.ASAPP_API_ID, 'asapp-api-secret': context.ASAPP_API_SECRET },
    timeout: TIMEOUT_MS,
    maxRedirects: 0, // the secret goes to one host
  });
  if (!/^wss?:\/\//.test(answer.data.streamingUrl)) {
    throw new Error('the answer holds no streamingUrl');
  }
  return answer.data.streamingUrl;
}

/* What the agent gets to know. Twilio's own parameters begin with capitals; `request` is what the runtime adds. */
function agentParameters(event) {
  const parameters = new Map([
    ['asapp_callTransferId', event.CallSid],
    ['asapp_externalConversationId', event.CallSid],
  ]);
  if (event.From) {
    parameters.set('customerId', event.From);
  }
  for (const [name, value] of Object.entries(event)) {
    const isOurs = /^[a-z]/.test(name) && name !== 'request' && name !== 'bodySHA256';
    if (isOurs && typeof value === 'string' && value !== '') {
      parameters.set(MEANT.get(name) ?? name, value);
    }
  }
  return [...parameters].filter(([name, value]) => name.length + value.length <= MAX_PARAMETER);
}

/* Where a flow takes its call back; '' when nobody has said where, null when no flow is waiting. */
function returnAddress(context, event) {
  if (event.FlowEvent !== 'return') {
    return null;
  }
  if (/^FW[0-9a-f]{32}$/.test(event.FlowSid ?? '') && /^AC[0-9a-f]{32}$/.test(event.AccountSid ?? '')) {
    return `https://webhooks.twilio.com/v1/Accounts/${event.AccountSid}/Flows/${event.FlowSid}?FlowEvent=return`;
  }
  return context.STUDIO_RETURN_URL ?? '';
}

/* Another function of this service; plain http only where the service runs on your own machine. */
function ownAddress(context, path) {
  const isLocal = /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(context.DOMAIN_NAME);
  return `${isLocal ? 'http' : 'https'}://${context.DOMAIN_NAME}${path}`;
}

/* For the log: an error of axios holds the request with its secret, so no more than this. */
function reason(error) {
  return error.response ? `status ${error.response.status}` : error.code ?? error.message;
}
