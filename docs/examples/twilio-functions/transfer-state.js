/*
 * Twilio Function /transfer-state: tells a Studio flow what came of the agent's call.
 *
 * A Run Function widget after the TwiML Redirect widget, with the function parameter
 *     CallSid = {{trigger.call.CallSid}}
 * Then a Split widget on {{widgets.NAME.parsed.transferType}}: AGENT, SYSTEM, CALLER_DISCONNECT, or empty when the agent has
 * failed. Every field is there, null when there is nothing: a flow needs no error branch of its own.
 *
 * Set its visibility to Protected: then Twilio itself refuses requests that it has not signed.
 *
 * Dependency: axios. Environment: that of /engage.
 */
const axios = require('axios');

const TRANSFERS_PATH = '/generativeagent/v1/call-transfers/';
const TIMEOUT_MS = 5000; // a Function may take 10 s in all

exports.handler = async function (context, event, callback) {
  const transfer = await callTransfer(context, event.CallSid);
  const output = transfer.outputContext ?? {};
  callback(null, {
    callTransferStatus: transfer.status ?? null,
    transferType: output.transferType ?? null,
    currentTaskName: output.currentTaskName ?? null,
    referenceVariables: output.referenceVariables ?? null,
    transferVariables: output.transferVariables ?? null,
  });
};

/* The call transfer of the id that /engage has given; {} when there is none. */
async function callTransfer(context, callSid) {
  try {
    const answer = await axios.get(context.ASAPP_API_HOST + TRANSFERS_PATH + encodeURIComponent(callSid), {
      headers: { 'asapp-api-id': context.ASAPP_API_ID, 'asapp-api-secret': context.ASAPP_API_SECRET },
      timeout: TIMEOUT_MS,
      maxRedirects: 0, // the secret goes to one host
    });
    return answer.data;
  } catch (error) {
    // An error of axios holds the request with its secret, so no more of it than this.
    console.error('no call transfer:', error.response ? `status ${error.response.status}` : error.code ?? error.message);
    return {};
  }
}
