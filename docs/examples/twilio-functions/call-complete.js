/*
 * Twilio Function /call-complete: the agent is done with a direct number's call; what comes next?
 *
 * Twilio asks it by the `action` of /engage's <Connect>. Change the three cases at the end to what your business wants; the
 * variables that the agent hands over are in `outputContext`.
 *
 * Set its visibility to Protected: then Twilio itself refuses requests that it has not signed.
 *
 * Dependency: axios. Environment, besides that of /engage:
 *     HUMAN_NUMBER  who is called when the caller wants a person, or when the agent has failed
 */
const axios = require('axios');

const TRANSFERS_PATH = '/generativeagent/v1/call-transfers/';
const TIMEOUT_MS = 5000; // a Function may take 10 s in all

exports.handler = async function (context, event, callback) {
  const response = new Twilio.twiml.VoiceResponse();
  if (event.CallStatus === 'completed') {
    callback(null, response); // the caller has hung up: nobody is left to hear anything
    return;
  }
  const outcome = await outputContext(context, event.CallSid);
  const variables = outcome.transferVariables ?? {};
  console.log('the agent is done:', outcome.transferType ?? 'no outcome', Object.keys(variables));
  switch (outcome.transferType) {
    case 'SYSTEM': // the task is done
      response.hangup();
      break;
    case 'CALLER_DISCONNECT':
      response.hangup();
      break;
    case 'AGENT': // a person is wanted
      toPerson(context, response);
      break;
    default: // the agent has failed, or nobody knows
      response.say('We are sorry, we have a technical problem.');
      toPerson(context, response);
  }
  callback(null, response);
};

function toPerson(context, response) {
  if (context.HUMAN_NUMBER) {
    response.dial(context.HUMAN_NUMBER);
  } else {
    response.say('Nobody is here to take your call. Please call again later.');
    response.hangup();
  }
}

/* What the agent left behind; {} when there is nothing. The id of the call transfer is the one that /engage has given. */
async function outputContext(context, callSid) {
  try {
    const answer = await axios.get(context.ASAPP_API_HOST + TRANSFERS_PATH + encodeURIComponent(callSid), {
      headers: { 'asapp-api-id': context.ASAPP_API_ID, 'asapp-api-secret': context.ASAPP_API_SECRET },
      timeout: TIMEOUT_MS,
      maxRedirects: 0, // the secret goes to one host
    });
    return answer.data.outputContext ?? {};
  } catch (error) {
    // An error of axios holds the request with its secret, so no more of it than this.
    console.error('no call transfer:', error.response ? `status ${error.response.status}` : error.code ?? error.message);
    return {};
  }
}
